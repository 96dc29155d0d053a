import { createContext, type ReactNode, useCallback, useContext, useEffect, useState } from "react";

const NoticesContext = createContext<(text: string) => void>(() => undefined);

/** How long a notice stays, in milliseconds. */
const shownFor = 5000;

/** Shows short results of what a person did, and announces them to screen readers. */
export function NoticesProvider({ children }: { children: ReactNode }) {
  const [notice, setNotice] = useState<{ id: number; text: string }>();

  const notify = useCallback((text: string) => {
    setNotice((previous) => ({ id: (previous?.id ?? 0) + 1, text }));
  }, []);

  useEffect(() => {
    if (!notice?.text) {
      return undefined;
    }
    const timer = setTimeout(() => setNotice({ id: notice.id, text: "" }), shownFor);
    return () => clearTimeout(timer);
  }, [notice]);

  return (
    <NoticesContext value={notify}>
      {children}
      <div className="toasts" role="status">
        {notice?.text && (
          <p key={notice.id} className="toast">
            {notice.text}
          </p>
        )}
      </div>
    </NoticesContext>
  );
}

export function useNotify(): (text: string) => void {
  return useContext(NoticesContext);
}
