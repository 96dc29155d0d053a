/** A request that did not succeed, in words for the person who made it. */
export class ApiError extends Error {
  /** HTTP status; 0 when no answer came at all. */
  readonly status: number;
  /** Messages by the name of the field that they are about. */
  readonly fields: Readonly<Record<string, string>>;

  constructor(status: number, message: string, fields: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.fields = fields;
  }
}

const unreachable = "The server cannot be reached. Check the connection and try again.";

/** Whatever a promise was rejected with, as an ApiError. */
export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, unreachable);
}

/** Reads `{"detail": "…"}` and `{"detail": [{"loc": ["body", "name"], "msg": "…"}]}`. */
export async function errorFromResponse(response: Response): Promise<ApiError> {
  const fallback = `The server answered with status ${response.status}.`;
  let detail: unknown;
  try {
    detail = ((await response.json()) as { detail?: unknown }).detail;
  } catch {
    return new ApiError(response.status, fallback);
  }
  if (typeof detail === "string") {
    return new ApiError(response.status, detail);
  }
  if (!Array.isArray(detail)) {
    return new ApiError(response.status, fallback);
  }
  const fields: Record<string, string> = {};
  const messages: string[] = [];
  for (const item of detail as { loc?: unknown[]; msg?: unknown }[]) {
    const message = typeof item.msg === "string" ? item.msg : "Not accepted";
    const name = item.loc?.[1];
    if (typeof name === "string") {
      fields[name] ??= message;
      messages.push(`${name}: ${message}`);
    } else {
      messages.push(message);
    }
  }
  return new ApiError(response.status, messages.join("; ") || fallback, fields);
}
