/** Answers of the fake hub without a file in them. */
import type { ServerResponse } from "node:http";

export function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  if (code !== "") response.setHeader("X-Error-Code", code);
  response.setHeader("X-Error-Message", message);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: message }));
}

export function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}
