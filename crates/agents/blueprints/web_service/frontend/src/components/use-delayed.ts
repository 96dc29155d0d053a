import { useEffect, useState } from "react";

/** How long typing must rest before a search is sent, in milliseconds. */
const delay = 200;

/** The value as it was when it last stayed the same for a moment. */
export function useDelayed<T>(value: T): T {
  const [delayed, setDelayed] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setDelayed(value), delay);
    return () => clearTimeout(timer);
  }, [value]);
  return delayed;
}
