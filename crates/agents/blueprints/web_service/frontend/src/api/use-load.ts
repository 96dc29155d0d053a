import { useCallback, useEffect, useEffectEvent, useState } from "react";

import { type ApiError, asApiError } from "./errors";

export interface Load<T> {
  /** The last answer; kept while a newer one is on its way. */
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  reload: () => void;
}

/** Loads when the component appears, whenever the key changes and on reload; late answers are dropped. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Load<T> {
  const [data, setData] = useState<T>();
  const [error, setError] = useState<ApiError>();
  const [loading, setLoading] = useState(true);
  const [attempt, setAttempt] = useState(0);
  const start = useEffectEvent(load);

  useEffect(() => {
    const abort = new AbortController();
    setLoading(true);
    start(abort.signal)
      .then(
        (answer) => {
          if (!abort.signal.aborted) {
            setData(answer);
            setError(undefined);
          }
        },
        (reason: unknown) => {
          if (!abort.signal.aborted) {
            setError(asApiError(reason));
          }
        },
      )
      .finally(() => {
        if (!abort.signal.aborted) {
          setLoading(false);
        }
      });
    return () => abort.abort();
  }, [key, attempt]);

  const reload = useCallback(() => setAttempt((count) => count + 1), []);
  return { data, error, loading, reload };
}
