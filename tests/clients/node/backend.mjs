// A web backend in Node: the policy of the Python client, a token, TLS, a budget of 50 ms, and our own words after it.
//
//   node backend.mjs HOST:PORT PROTOS < {"customers": [...], "policy": {...}, "token": "…", "ca": "ca.pem", "name": "…"}
//
// PROTOS is the folder of tact/v1; `policy` is what `tact.client.service_config(Retry())` returns. Prints one line of
// JSON for each customer: what was said, how long that took, and the status where it is our own.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const BUDGET_MS = 50;
const OWN_GREETING = "Welcome.";
const [target, protos] = process.argv.slice(2);
const { customers, policy, token, ca, name, budget_ms } = JSON.parse(readFileSync(0, "utf8"));

function credentials() {
  if (!ca) return grpc.credentials.createInsecure(); // to this machine only
  const bearer = grpc.credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${token}`); // asked for each call: whose token expires looks up a new one here
    done(null, metadata);
  });
  const tls = grpc.credentials.createSsl(readFileSync(ca));
  return token ? grpc.credentials.combineChannelCredentials(tls, bearer) : tls;
}

const options = {
  "grpc.service_config": JSON.stringify(policy),
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  ...(name ? { "grpc.ssl_target_name_override": name } : {}),
};
const loaded = loader.loadSync("tact/v1/decision.proto", { includeDirs: [protos], longs: Number, oneofs: true });
const { tact } = grpc.loadPackageDefinition(loaded);
const client = new tact.v1.DecisionService(target, credentials(), options);

function greeting(customerId) {
  // The key makes it safe to repeat: the policy repeats what was UNAVAILABLE or CANCELLED, and it counts once.
  const question = { customerId, channel: "web", placements: ["greeting"], idempotencyKey: randomUUID() };
  const deadline = Date.now() + (budget_ms ?? BUDGET_MS);
  return new Promise((resolve) => {
    client.decide(question, { deadline }, (error, answer) => {
      const [said] = answer?.answers ?? [];
      const text = said?.greeting?.text || said?.offer?.text || OWN_GREETING;
      resolve({ text, ...(error ? { code: grpc.status[error.code] } : {}) });
    });
  });
}

for (const customer of customers) {
  const begun = performance.now();
  const said = await greeting(customer);
  console.log(JSON.stringify({ ...said, took_ms: performance.now() - begun }));
}
client.close();
