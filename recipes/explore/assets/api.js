// The server's addresses, as functions. Each failure is an ApiError with one line for the reader.

export class ApiError extends Error {
  /** @param {number} status of HTTP; 0 if the server did not answer. */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** The open page's name at the server, new for each load. `randomUUID` would need https away from this machine. */
export const pageId = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const NO_ANSWER = "the server does not answer: is it still running in its terminal?";
const coded = encodeURIComponent;

async function call(method, path, body) {
  const raw = body instanceof Blob;
  const options = { method, credentials: "same-origin" };
  if (body !== undefined) {
    options.body = raw ? body : JSON.stringify(body);
    options.headers = { "Content-Type": raw ? body.type || "application/octet-stream" : "application/json" };
  }
  const response = await answered(path, options);
  return response.status === 204 ? null : response.json();
}

/** A response of success. */
async function answered(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(NO_ANSWER, 0);
  }
  if (response.ok) return response;
  const data = await response.json().catch(() => null);
  throw new ApiError(data?.error ?? `the server answered ${response.status}`, response.status);
}

/** A file for the user's disk: its content, and the name that the server gives it. */
async function file(path) {
  const response = await answered(path, { credentials: "same-origin" });
  const [, name] = response.headers.get("content-disposition")?.match(/filename="([^"]+)"/) ?? [null, "unit.png"];
  return { blob: await response.blob(), name };
}

export const api = {
  network: () => call("GET", "/api/network"),
  layer: (address) => call("GET", `/api/layers/${coded(address)}`),
  unitCopies: (address, channel) => call("GET", `/api/layers/${coded(address)}/${channel}/copies`),
  unitFacts: (address, channel) => call("GET", `/api/units/${coded(address)}/${channel}`),
  visible: (layer, channels) => call("POST", `/api/pages/${pageId}/visible`, { layer, channels }),
  start: (recipe, settings, slot) => call("POST", `/api/pages/${pageId}/runs`, { recipe, settings, slot }),
  run: (run) => call("GET", `/api/runs/${coded(run)}`),
  stop: (run) => call("DELETE", `/api/runs/${coded(run)}?page=${pageId}`),
  photo: (photo) => call("GET", `/api/photos/${coded(photo)}`),
  addPhoto: (blob) => call("POST", "/api/photos", blob),
  file,
  downloadAddress: (run, form) => `/api/runs/${coded(run)}/download?as=${form}&page=${pageId}`,
  unitDownloadAddress: (address, channel, form) => `/api/layers/${coded(address)}/${channel}/download?as=${form}&page=${pageId}`,
};
