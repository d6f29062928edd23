#include "tally.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <sstream>

namespace {

const char* const kStatusNames[] = {
    "OK",        "CANCELLED",           "UNKNOWN",          "INVALID_ARGUMENT",    "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",         "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL",        "UNAVAILABLE",      "DATA_LOSS",           "UNAUTHENTICATED"};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", c);
    if (c < 0x20 || c == '"' || c == '\\') out += escape;
    else out += char(c);
  }
  return out + "\"";
}

// Seconds in user and system mode of a process with all its threads; NaN when it is gone.
double cpu_seconds(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  size_t after_name = text.rfind(')');  // the name in brackets may hold spaces
  if (after_name == std::string::npos) return NAN;
  std::istringstream fields(text.substr(after_name + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / double(sysconf(_SC_CLK_TCK));
}

// Nearest rank: the smallest value that at least this share of all is not above. Expects sorted values.
double percentile_us(const std::vector<int64_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  size_t rank = size_t(std::ceil(share * double(sorted.size())));
  return double(sorted[std::max<size_t>(rank, 1) - 1]) / 1000;
}

void print_latencies(std::vector<int64_t>& latencies) {
  std::sort(latencies.begin(), latencies.end());
  double sum = std::accumulate(latencies.begin(), latencies.end(), 0.0);
  double mean = latencies.empty() ? 0 : sum / double(latencies.size()) / 1000;
  std::printf("  \"latency_us\": {\"mean\": %.1f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f},\n",
              mean, percentile_us(latencies, 0.5), percentile_us(latencies, 0.9), percentile_us(latencies, 0.99),
              percentile_us(latencies, 0.999), percentile_us(latencies, 1));
  // The whole distribution, closer and closer to the slowest: ten points for each further nine.
  std::printf("  \"latency_curve\": [");
  for (int i = 0; i <= 40; ++i) {
    double beyond = std::pow(10, -i / 10.0);
    if (i > 0 && beyond * double(latencies.size()) < 1) break;
    std::printf("%s[%.6f, %.1f]", i ? ", " : "", 1 - beyond, percentile_us(latencies, 1 - beyond));
  }
  std::printf("],\n");
}

std::string status_name(int code) { return code >= 0 && code < 17 ? kStatusNames[code] : "CODE_" + std::to_string(code); }

void print_errors(const Tally& tally) {
  std::string counts, texts;
  for (const auto& [code, count] : tally.by_status) {
    if (code != 0) counts += (counts.empty() ? "" : ", ") + quoted(status_name(code)) + ": " + std::to_string(count);
  }
  for (const auto& [code, text] : tally.error_texts) {
    texts += (texts.empty() ? "" : ", ") + quoted(status_name(code)) + ": " + quoted(text);
  }
  std::printf("  \"errors\": {%s},\n  \"error_texts\": {%s},\n", counts.c_str(), texts.c_str());
}

void print_watched(const Options& options, const CpuReading& begin, const CpuReading& end) {
  std::printf("  \"watched_cpu_seconds\": {");
  for (size_t i = 0; i < options.watched.size(); ++i) {
    double spent = end.watched[i] - begin.watched[i];
    std::printf("%s\"%d\": ", i ? ", " : "", options.watched[i]);
    std::isnan(spent) ? std::printf("null") : std::printf("%.2f", spent);
  }
  std::printf("}\n");
}

void put_uint32(std::ofstream& file, uint32_t value) {
  const char bytes[4] = {char(value), char(value >> 8), char(value >> 16), char(value >> 24)};
  file.write(bytes, 4);
}

}  // namespace

CpuReading read_cpu(const std::vector<int>& pids) {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  CpuReading reading;
  reading.own = double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  for (int pid : pids) reading.watched.push_back(cpu_seconds(pid));
  return reading;
}

void report(const Options& options, Tally& tally, double window_seconds, const CpuReading& begin, const CpuReading& end) {
  uint64_t ok = tally.by_status.count(0) ? tally.by_status.at(0) : 0;
  std::printf("{\n  \"target\": %s,\n  \"method\": %s,\n", quoted(options.target).c_str(), quoted(options.method).c_str());
  std::printf("  \"in_flight\": %d,\n  \"rate\": %.3f,\n  \"seconds\": %.6f,\n", options.in_flight, options.rate, window_seconds);
  std::printf("  \"requests\": %llu,\n  \"ok\": %llu,\n  \"ok_in_all\": %llu,\n", (unsigned long long)tally.requests,
              (unsigned long long)ok, (unsigned long long)tally.ok_in_all);
  print_errors(tally);
  std::printf("  \"unsent\": %llu,\n  \"backlog_max\": %llu,\n", (unsigned long long)tally.unsent,
              (unsigned long long)tally.backlog_max);
  std::printf("  \"throughput\": %.1f,\n", double(tally.completed_in_window) / window_seconds);
  print_latencies(tally.latencies_ns);
  std::printf("  \"bytes_received\": %llu,\n", (unsigned long long)tally.bytes_received);
  std::printf("  \"reply_bytes\": {\"min\": %llu, \"mean\": %.1f, \"max\": %llu},\n",
              (unsigned long long)(ok ? tally.reply_min : 0), ok ? double(tally.bytes_received) / double(ok) : 0.0,
              (unsigned long long)tally.reply_max);
  std::printf("  \"client_cpu_seconds\": %.3f,\n", end.own - begin.own);
  print_watched(options, begin, end);
  std::printf("}\n");
}

void write_samples(const std::string& path, const Tally& tally) {
  std::ofstream file(path, std::ios::binary);
  for (const auto& [index, reply] : tally.samples) {
    put_uint32(file, index);
    put_uint32(file, uint32_t(reply.size()));
    file.write(reply.data(), std::streamsize(reply.size()));
  }
}
