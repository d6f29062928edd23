// The official client for browsers, @connectrpc/connect-web, knowing nothing of Tact but its descriptors.
// Reads one JSON document: {base, form, json, token, descriptors, service, method, requests, most}; prints one.

import { createFileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { ConnectError, Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const asked = JSON.parse(Buffer.concat(chunks).toString("utf8"));

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(asked.descriptors, "base64")));
const service = registry.getService(asked.service);
const method = service.method[asked.method];
const create = asked.form === "grpc-web" ? createGrpcWebTransport : createConnectTransport;
const bearer = (next) => async (request) => {
  if (asked.token) request.header.set("authorization", `Bearer ${asked.token}`);
  return next(request);
};
const transport = create({ baseUrl: asked.base, useBinaryFormat: !asked.json, interceptors: [bearer], jsonOptions: { registry } });
const client = createClient(service, transport);

const said = { answers: [], error: null };
const shown = (message) => toJson(method.output, message, { registry });
try {
  for (const request of asked.requests) {
    if (method.methodKind === "unary") {
      said.answers.push(shown(await client[asked.method](request, { timeoutMs: 10_000 })));
      continue;
    }
    let left = asked.most ?? 1;
    const stop = new AbortController();
    for await (const message of client[asked.method](request, { signal: stop.signal })) {
      said.answers.push(shown(message));
      if (--left === 0) break;
    }
    stop.abort(); // the connection would stay open
  }
} catch (error) {
  const wrong = ConnectError.from(error);
  const bad = registry.getMessage("google.rpc.BadRequest");
  said.error = {
    code: Code[wrong.code],
    message: wrong.rawMessage,
    fields: wrong.findDetails(bad).flatMap((detail) => detail.fieldViolations.map((one) => one.field)),
    pushback: wrong.metadata.get("grpc-retry-pushback-ms"),
  };
}
process.stdout.write(JSON.stringify(said));
