// Calls a running Tact with @grpc/grpc-js, from the .proto files alone.
//
//   node call.mjs HOST:PORT PROTOS GOOGLEAPIS < {"method": "decide", "requests": [{...}, ...]}
//
// PROTOS is the folder of tact/v1, GOOGLEAPIS that of google/rpc. Prints {"answers": [...]} and, when the call ended
// with an error, {"code", "details", "violations"} beside it.
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";
import protobuf from "protobufjs";

const [target, protos, googleapis] = process.argv.slice(2);
const { method, requests } = JSON.parse(readFileSync(0, "utf8"));
const options = { includeDirs: [protos], longs: Number, enums: String, oneofs: true };
const { tact } = grpc.loadPackageDefinition(loader.loadSync("tact/v1/decision.proto", options));
const client = new tact.v1.DecisionService(target, grpc.credentials.createInsecure());
const deadline = () => ({ deadline: Date.now() + 20_000 });

// The rich details: google.rpc.Status in a trailer, with the bad fields as google.rpc.BadRequest.
function violationsOf(error) {
  const root = new protobuf.Root();
  root.resolvePath = (_, path) => (path.startsWith("google/protobuf/") ? path : `${googleapis}/${path}`);
  root.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"]);
  const BadRequest = root.lookupType("google.rpc.BadRequest");
  return error.metadata
    .get("grpc-status-details-bin")
    .flatMap((bytes) => root.lookupType("google.rpc.Status").decode(bytes).details)
    .filter((detail) => detail.type_url.endsWith("google.rpc.BadRequest"))
    .flatMap((detail) => BadRequest.toObject(BadRequest.decode(detail.value)).fieldViolations);
}

function told(error) {
  return { code: grpc.status[error.code], details: error.details, violations: violationsOf(error) };
}

async function one() {
  return new Promise((resolve) => {
    client.decide(requests[0], deadline(), (error, answer) =>
      resolve(error ? { answers: [], ...told(error) } : { answers: [answer] }),
    );
  });
}

async function many() {
  const call = client.decideStream(deadline());
  const answers = [];
  return new Promise((resolve) => {
    call.on("data", (answer) => answers.push(answer));
    call.on("error", (error) => resolve({ answers, ...told(error) }));
    call.on("end", () => resolve({ answers }));
    requests.forEach((request) => call.write(request));
    call.end();
  });
}

console.log(JSON.stringify(await (method === "decide" ? one() : many())));
client.close();
