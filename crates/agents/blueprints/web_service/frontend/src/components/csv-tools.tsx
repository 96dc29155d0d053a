import { type ChangeEvent, useId, useState } from "react";

import { download, request } from "../api/client";
import { type ApiError, asApiError } from "../api/errors";
import type { Resource } from "../resources/resource";
import { Icon } from "./icon";
import { useNotify } from "./notices";

interface ImportResult {
  imported: number;
  errors: { row: number; field: string | null; message: string }[];
}

interface CsvToolsProps {
  resource: Resource;
  onImported: () => void;
}

/** Takes records out as CSV, and in: all rows of a file, or none when one of them is wrong. */
export function CsvTools({ resource, onImported }: CsvToolsProps) {
  const inputId = useId();
  const notify = useNotify();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const [problems, setProblems] = useState<ImportResult["errors"]>([]);

  async function attempt(work: () => Promise<void>) {
    setBusy(true);
    setError(undefined);
    setProblems([]);
    try {
      await work();
    } catch (reason) {
      setError(asApiError(reason));
    } finally {
      setBusy(false);
    }
  }

  function importFile(event: ChangeEvent<HTMLInputElement>) {
    const file = event.target.files?.[0];
    event.target.value = "";
    if (!file) {
      return;
    }
    void attempt(async () => {
      const body = new FormData();
      body.append("file", file);
      const result = await request<ImportResult>("POST", `/${resource.path}/import`, { body });
      setProblems(result.errors);
      if (result.errors.length === 0) {
        notify(`${result.imported} imported.`);
        onImported();
      }
    });
  }

  return (
    <>
      <button
        type="button"
        className="button"
        disabled={busy}
        onClick={() =>
          attempt(() => download(`/${resource.path}/export.csv`, `${resource.path}.csv`))
        }
      >
        <Icon name="download" />
        Export CSV
      </button>
      <label className="button" htmlFor={inputId} aria-disabled={busy}>
        <Icon name="upload" />
        Import CSV
      </label>
      <input
        id={inputId}
        className="visually-hidden"
        type="file"
        accept=".csv,text/csv"
        disabled={busy}
        onChange={importFile}
      />
      {error && (
        <p className="notice notice-danger" role="alert">
          {error.message}
        </p>
      )}
      {problems.length > 0 && (
        <div className="notice notice-danger" role="alert">
          <p>Nothing was imported. Mend these rows and try again:</p>
          <ul>
            {problems.map(({ row, field, message }) => (
              <li key={`${row}-${field}-${message}`}>
                Row {row}
                {field && `, ${field}`}: {message}
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  );
}
