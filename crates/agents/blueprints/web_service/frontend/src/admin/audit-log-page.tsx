import { useState } from "react";

import { type Page as PageOf, request } from "../api/client";
import { useLoad } from "../api/use-load";
import { EmptyState, ErrorNotice, Page, Skeleton } from "../components/page";
import { Pagination } from "../components/pagination";
import { formatDateTime, nothing } from "../resources/values";

const pageSize = 50;

interface AuditEntry {
  id: number;
  at: string;
  /** Empty when nobody was signed in. */
  username: string;
  action: string;
  /** Empty when it was about no record. */
  entity: string;
  row_id: number | null;
}

/** Who did what to which record; for admins. Entries are only ever added. */
export function AuditLogPage() {
  const [page, setPage] = useState(1);
  const { data, error, reload } = useLoad(String(page), (signal) =>
    request<PageOf<AuditEntry>>("GET", "/audit-log", {
      query: { page, page_size: pageSize },
      signal,
    }),
  );

  return (
    <Page title="Audit log">
      {error && <ErrorNotice error={error} retry={reload} />}
      {!data && !error && <Skeleton />}
      {data?.items.length === 0 && <EmptyState title="Nothing has been recorded yet." />}
      {data && data.items.length > 0 && (
        <>
          <div className="table-frame">
            <table className="table">
              <caption className="visually-hidden">Audit log</caption>
              <thead>
                <tr>
                  <th scope="col">When</th>
                  <th scope="col">Who</th>
                  <th scope="col">Action</th>
                  <th scope="col">Record</th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((entry) => (
                  <tr key={entry.id}>
                    <th scope="row">{formatDateTime(entry.at)}</th>
                    <td data-label="Who">{entry.username || nothing}</td>
                    <td data-label="Action">
                      <span className="badge">{entry.action}</span>
                    </td>
                    <td data-label="Record">
                      {entry.entity ? `${entry.entity} ${entry.row_id ?? ""}` : nothing}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <Pagination page={page} pageSize={pageSize} total={data.total} onPage={setPage} />
        </>
      )}
    </Page>
  );
}
