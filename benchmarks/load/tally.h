// What was counted during the measured window, and how it is told.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "options.h"

// CPU time of this process and of the watched ones, in seconds.
struct CpuReading {
  double own = 0;
  std::vector<double> watched;
};

CpuReading read_cpu(const std::vector<int>& pids);

struct Tally {
  uint64_t requests = 0;                      // started, or due by the schedule, inside the window
  uint64_t completed_in_window = 0;           // OK answers that arrived inside the window, whenever they were started
  uint64_t ok_in_all = 0;                     // OK answers from the first call to the last, warm-up included
  uint64_t unsent = 0;                        // due inside the window and never sent, because the server was too slow
  std::map<int, uint64_t> by_status;          // how the requests ended, by gRPC status code; failures of the warm-up count, too
  std::map<int, std::string> error_texts;     // the first message of each status but OK
  std::vector<int64_t> latencies_ns;          // of the OK ones, exact
  uint64_t bytes_received = 0;                // of the OK ones
  uint64_t reply_min = UINT64_MAX;
  uint64_t reply_max = 0;
  uint64_t backlog_max = 0;                   // the longest queue of calls that were due and found no free place
  std::vector<std::pair<uint32_t, std::string>> samples;  // index of the request, reply
};

// Prints one JSON object.
void report(const Options& options, Tally& tally, double window_seconds, const CpuReading& begin, const CpuReading& end);

// Writes the samples: index of the request and length, both uint32 little endian, then the bytes.
void write_samples(const std::string& path, const Tally& tally);
