// What the load generator is told on its command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct Options {
  std::string target;                // host:port
  std::string method;                // full path: /package.Service/Method
  std::string requests_file;         // length-prefixed messages: uint32 little endian, then the bytes
  int in_flight = 8;                 // calls open at once at most
  double seconds = 3;                // the measured window
  double warmup_seconds = 1;         // load before it that is not counted
  double rate = 0;                   // calls a second on a fixed schedule; 0: closed loop, the next after each answer
  double timeout_seconds = 5;        // deadline of each call
  double patience_seconds = -1;      // open loop: what could not be sent for so long is given up; negative: never
  std::string samples_file;          // where to keep some replies; empty: nowhere
  int sample_every = 100;            // keep one reply in so many
  std::vector<int> watched;          // processes whose CPU time over the window is reported
};

// Reads the arguments; prints what is wrong and ends the process with status 2 on a bad one.
Options parse(int argc, char** argv);

// Reads the length-prefixed messages of a file; ends the process with status 2 when there are none or one is cut off.
std::vector<std::string> read_messages(const std::string& path);
