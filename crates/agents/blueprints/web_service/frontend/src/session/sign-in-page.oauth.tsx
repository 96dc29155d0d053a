import { useState } from "react";

import { type ApiError, asApiError, errorFromResponse } from "../api/errors";
import { applicationName, applicationSummary } from "../application";
import { ErrorNotice, useTitle } from "../components/page";

const startAddress = "/api/auth/oauth/start";

/** Sends a person to the identity provider, which sends them back signed in. */
export function SignInPage({ notice }: { notice: string | undefined }) {
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const refusal = new URLSearchParams(window.location.search).get("sign_in_error");
  useTitle("Sign in");

  async function start() {
    setBusy(true);
    setError(undefined);
    try {
      // Asked first without leaving the page, so that a server without a provider can say so here.
      const response = await fetch(startAddress, { redirect: "manual" });
      if (response.status >= 400) {
        throw await errorFromResponse(response);
      }
      window.location.assign(startAddress);
    } catch (reason) {
      setError(asApiError(reason));
      setBusy(false);
    }
  }

  return (
    <main className="sign-in">
      <section className="panel" aria-labelledby="sign-in-title">
        <p className="brand">{applicationName}</p>
        <h1 id="sign-in-title">Sign in</h1>
        <p className="hint">{applicationSummary}</p>
        {notice && !error && (
          <p className="notice" role="status">
            {notice}
          </p>
        )}
        {refusal && !error && (
          <p className="notice notice-danger" role="alert">
            {refusal}
          </p>
        )}
        {error && <ErrorNotice error={error} />}
        <button type="button" className="button button-primary" disabled={busy} onClick={start}>
          {busy ? "One moment…" : "Continue with your identity provider"}
        </button>
      </section>
    </main>
  );
}
