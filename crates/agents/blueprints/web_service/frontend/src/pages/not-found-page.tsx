import { Link } from "wouter";

import { EmptyState, Page } from "../components/page";

export function NotFoundPage() {
  return (
    <Page title="Page not found">
      <EmptyState title="There is no page at this address.">
        <Link href="/" className="button">
          To the start
        </Link>
      </EmptyState>
    </Page>
  );
}
