import { useEffect, useId, useRef } from "react";

interface ConfirmDialogProps {
  /** Names the thing: `Delete “Q3 budget”?` */
  question: string;
  /** What follows from it. */
  consequence: string;
  action: string;
  busy: boolean;
  onConfirm: () => void;
  onCancel: () => void;
}

/** Asks before something is destroyed; the browser keeps the focus inside and closes it on Escape. */
export function ConfirmDialog(props: ConfirmDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const questionId = useId();
  const consequenceId = useId();

  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);

  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={questionId}
      aria-describedby={consequenceId}
      onCancel={(event) => {
        event.preventDefault();
        props.onCancel();
      }}
    >
      <h2 id={questionId}>{props.question}</h2>
      <p id={consequenceId}>{props.consequence}</p>
      <div className="actions">
        <button type="button" className="button" onClick={props.onCancel}>
          Cancel
        </button>
        <button
          type="button"
          className="button button-danger"
          disabled={props.busy}
          onClick={props.onConfirm}
        >
          {props.action}
        </button>
      </div>
    </dialog>
  );
}
