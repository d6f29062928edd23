#include "options.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>

namespace {

const char kUsage[] =
    "usage: load TARGET /package.Service/Method REQUESTS_FILE\n"
    "            [--in-flight N] [--seconds S] [--warmup S] [--rate CALLS_A_SECOND] [--timeout S] [--patience S]\n"
    "            [--samples FILE] [--sample-every N] [--watch PID]...\n";

[[noreturn]] void refuse(const std::string& why) {
  std::cerr << "load: " << why << "\n" << kUsage;
  std::exit(2);
}

double number(const std::string& name, const std::string& text, double least) {
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= least)) {
    refuse(name + " is '" + text + "'; it must be a number of at least " + std::to_string(least));
  }
  return value;
}

using Setter = std::function<void(Options&, const std::string&)>;

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> all = {
      {"--in-flight", [](Options& o, const std::string& v) { o.in_flight = int(number("--in-flight", v, 1)); }},
      {"--seconds", [](Options& o, const std::string& v) { o.seconds = number("--seconds", v, 0.01); }},
      {"--warmup", [](Options& o, const std::string& v) { o.warmup_seconds = number("--warmup", v, 0); }},
      {"--rate", [](Options& o, const std::string& v) { o.rate = number("--rate", v, 0); }},
      {"--timeout", [](Options& o, const std::string& v) { o.timeout_seconds = number("--timeout", v, 0.001); }},
      {"--patience", [](Options& o, const std::string& v) { o.patience_seconds = number("--patience", v, 0); }},
      {"--samples", [](Options& o, const std::string& v) { o.samples_file = v; }},
      {"--sample-every", [](Options& o, const std::string& v) { o.sample_every = int(number("--sample-every", v, 1)); }},
      {"--watch", [](Options& o, const std::string& v) { o.watched.push_back(int(number("--watch", v, 1))); }},
  };
  return all;
}

}  // namespace

Options parse(int argc, char** argv) {
  Options options;
  std::vector<std::string> plain;
  for (int i = 1; i < argc; ++i) {
    auto setter = setters().find(argv[i]);
    if (setter == setters().end()) {
      if (std::strncmp(argv[i], "--", 2) == 0) refuse(std::string("unknown option ") + argv[i]);
      plain.push_back(argv[i]);
    } else if (++i < argc) {
      setter->second(options, argv[i]);
    } else {
      refuse(setter->first + " needs a value");
    }
  }
  if (plain.size() != 3) refuse("exactly three plain arguments are needed");
  options.target = plain[0];
  options.method = plain[1];
  options.requests_file = plain[2];
  return options;
}

std::vector<std::string> read_messages(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse("cannot read " + path);
  std::vector<std::string> messages;
  unsigned char head[4];
  while (file.read(reinterpret_cast<char*>(head), 4)) {
    uint32_t size = head[0] | head[1] << 8 | head[2] << 16 | uint32_t(head[3]) << 24;
    if (size > 1u << 26) refuse(path + ": a message of " + std::to_string(size) + " bytes is surely a broken file");
    std::string body(size, '\0');
    if (!file.read(body.data(), size)) refuse(path + ": the last message is cut off");
    messages.push_back(std::move(body));
  }
  if (file.gcount() != 0) refuse(path + ": the last length is cut off");
  if (messages.empty()) refuse(path + " holds no message");
  return messages;
}
