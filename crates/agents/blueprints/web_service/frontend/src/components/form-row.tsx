import type { ReactNode } from "react";

/** What ties an input to its label and its problem; spread it on the input. */
export interface InputTies {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string | undefined;
}

interface FormRowProps {
  /** The input's name in the draft; unique in its form. */
  name: string;
  label: string;
  required: boolean;
  problem: string | undefined;
  children: (ties: InputTies) => ReactNode;
}

/** A label, its input and what is wrong with it. */
export function FormRow({ name, label, required, problem, children }: FormRowProps) {
  const id = `input-${name}`;
  const problemId = `${id}-problem`;
  const ties: InputTies = {
    id,
    "aria-invalid": problem !== undefined,
    "aria-describedby": problem ? problemId : undefined,
  };
  return (
    <div className="form-row">
      <label htmlFor={id}>
        {label}
        {!required && <span className="optional"> optional</span>}
      </label>
      {children(ties)}
      {problem && (
        <p id={problemId} className="problem">
          {problem}
        </p>
      )}
    </div>
  );
}
