import { type FormEvent, useState } from "react";

import { type ApiError, asApiError } from "../api/errors";
import { applicationName, applicationSummary } from "../application";
import { FormRow } from "../components/form-row";
import { useTitle } from "../components/page";
import { type Credentials, useSession } from "./session";

const words = {
  signIn: { title: "Sign in", other: "No account yet?", change: "Create an account" },
  register: { title: "Create an account", other: "Have an account?", change: "Sign in instead" },
};

/** Lets a person in, or lets them make an account first. */
export function SignInPage({ notice }: { notice: string | undefined }) {
  const session = useSession();
  const [purpose, setPurpose] = useState<keyof typeof words>("signIn");
  const [credentials, setCredentials] = useState<Credentials>({ username: "", password: "" });
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const { title, other, change } = words[purpose];
  useTitle(title);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await session[purpose](credentials);
    } catch (reason) {
      setError(asApiError(reason));
      setBusy(false);
    }
  }

  function changePurpose() {
    setPurpose(purpose === "signIn" ? "register" : "signIn");
    setError(undefined);
  }

  const hasFieldProblems = error !== undefined && Object.keys(error.fields).length > 0;
  return (
    <main className="sign-in">
      <form className="panel" onSubmit={submit} aria-labelledby="sign-in-title">
        <p className="brand">{applicationName}</p>
        <h1 id="sign-in-title">{title}</h1>
        <p className="hint">{applicationSummary}</p>
        {notice && !error && (
          <p className="notice" role="status">
            {notice}
          </p>
        )}
        {error && !hasFieldProblems && (
          <p className="notice notice-danger" role="alert">
            {error.message}
          </p>
        )}
        <FormRow name="username" label="User name" required problem={error?.fields["username"]}>
          {(ties) => (
            <input
              {...ties}
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              value={credentials.username}
              onChange={(event) => setCredentials({ ...credentials, username: event.target.value })}
            />
          )}
        </FormRow>
        <FormRow name="password" label="Password" required problem={error?.fields["password"]}>
          {(ties) => (
            <input
              {...ties}
              type="password"
              autoComplete={purpose === "signIn" ? "current-password" : "new-password"}
              required
              value={credentials.password}
              onChange={(event) => setCredentials({ ...credentials, password: event.target.value })}
            />
          )}
        </FormRow>
        <button type="submit" className="button button-primary" disabled={busy}>
          {busy ? "One moment…" : title}
        </button>
        <p className="hint">
          {other}{" "}
          <button type="button" className="link" onClick={changePurpose}>
            {change}
          </button>
        </p>
      </form>
    </main>
  );
}
