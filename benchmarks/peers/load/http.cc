// Posts JSON to one path over HTTP/1.1, with one connection for each call that is open at once, and tells how it was
// answered, in the words of the load generator for gRPC. Closed loop: the next call after each answer.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "options.h"
#include "reply.h"
#include "tally.h"

using Clock = std::chrono::steady_clock;
using Moment = Clock::time_point;

namespace {

const int kDeadlineExceeded = 4, kUnavailable = 14, kOk = 200;  // the first two as gRPC names them
const int kTickMs = 50;
const int kFailuresAtMost = 1000;  // a server that refuses everybody is not asked for ever

Clock::duration seconds(double value) { return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value)); }

sockaddr_in address(const std::string& target) {
  sockaddr_in found = {};
  size_t colon = target.rfind(':');
  found.sin_family = AF_INET;
  if (colon == std::string::npos || inet_pton(AF_INET, target.substr(0, colon).c_str(), &found.sin_addr) != 1) {
    std::cerr << "load: '" << target << "' is no address such as 127.0.0.1:8080\n";
    std::exit(2);
  }
  found.sin_port = htons(uint16_t(std::atoi(target.c_str() + colon + 1)));
  return found;
}

// One connection, with one call open on it while it has any.
struct Line {
  int socket = -1;
  bool open = false;
  size_t sent = 0;
  uint32_t request = 0;
  Moment due;
  Reply reply;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), address_(address(options.target)), lines_(size_t(options.in_flight)) {
    for (const std::string& body : read_messages(options.requests_file)) {
      requests_.push_back("POST " + options.method + " HTTP/1.1\r\nHost: " + options.target +
                          "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                          "\r\n\r\n" + body);
    }
  }

  // Returns the exit status: 0 when a connection stood and the load ran to its end.
  int run() {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    for (Line& line : lines_) {
      if (!connected(line)) {
        std::cerr << "load: no connection to " << options_.target << ": " << std::strerror(errno) << "\n";
        return 1;
      }
    }
    begin_ = Clock::now() + seconds(options_.warmup_seconds);
    end_ = begin_ + seconds(options_.seconds);
    for (Line& line : lines_) start(line);
    while (waiting_ > 0) turn();
    watch_window(Clock::now());
    if (closed_ == Moment{}) {
      std::cerr << "load: " << options_.target << " lost every connection: " << why_lost() << "\n";
      return 1;
    }
    report(options_, tally_, std::chrono::duration<double>(closed_ - opened_).count(), cpu_begin_, cpu_end_);
    if (!options_.samples_file.empty()) write_samples(options_.samples_file, tally_);
    return 0;
  }

 private:
  bool connected(Line& line) {
    line.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(line.socket, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0) return false;
    int yes = 1;
    ::setsockopt(line.socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.ptr = &line;
    return epoll_ctl(poll_, EPOLL_CTL_ADD, line.socket, &event) == 0;
  }

  // Requests are a few kilobytes, so a send takes them whole; one that does not counts as a broken connection.
  void start(Line& line) {
    line.request = uint32_t(next_++ % requests_.size());
    line.due = Clock::now();
    line.reply.clear();
    line.open = true;
    ++waiting_;
    const std::string& request = requests_[line.request];
    if (::send(line.socket, request.data(), request.size(), MSG_NOSIGNAL) != ssize_t(request.size())) {
      fail(line, kUnavailable, "the connection broke while a request was sent");
    }
  }

  void turn() {
    epoll_event events[64];
    int count = epoll_wait(poll_, events, 64, kTickMs);
    Moment now = Clock::now();
    watch_window(now);
    for (int i = 0; i < count; ++i) receive(*static_cast<Line*>(events[i].data.ptr));
    for (Line& line : lines_) {
      if (line.open && now - line.due > seconds(options_.timeout_seconds)) fail(line, kDeadlineExceeded, "no answer in time");
    }
  }

  void watch_window(Moment now) {
    if (opened_ == Moment{} && now >= begin_) {
      opened_ = now;
      cpu_begin_ = read_cpu(options_.watched);
    }
    if (closed_ == Moment{} && now >= end_) {
      closed_ = now;
      cpu_end_ = read_cpu(options_.watched);
    }
  }

  void receive(Line& line) {
    char buffer[65536];
    ssize_t count = ::recv(line.socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0 || !line.open) return fail(line, kUnavailable, "the server closed a connection");
    Reply::State state = line.reply.add(buffer, size_t(count));
    if (state == Reply::State::kBroken) return fail(line, kUnavailable, "a reply that is no HTTP of a known length");
    if (state == Reply::State::kWhole) take(line);
  }

  void take(Line& line) {
    Moment now = Clock::now();
    bool ok = line.reply.status() == kOk;
    if (ok) ++tally_.ok_in_all;
    if (ok && opened_ != Moment{} && closed_ == Moment{}) ++tally_.completed_in_window;
    if (counted(line)) note(line, now);
    ended(line, line.reply.keeps_open());
  }

  bool counted(const Line& line) {
    if (line.due < begin_ || line.due >= end_) return false;
    ++tally_.requests;
    return true;
  }

  void note(const Line& line, Moment now) {
    const std::string& body = line.reply.body();
    if (line.reply.status() != kOk) {
      ++tally_.by_status[line.reply.status()];
      tally_.error_texts.emplace(line.reply.status(), body.substr(0, 300));
      return;
    }
    ++tally_.by_status[0];
    tally_.latencies_ns.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(now - line.due).count());
    tally_.bytes_received += body.size();
    tally_.reply_min = std::min(tally_.reply_min, uint64_t(body.size()));
    tally_.reply_max = std::max(tally_.reply_max, uint64_t(body.size()));
    size_t every = size_t(options_.sample_every);
    if (!options_.samples_file.empty() && tally_.latencies_ns.size() % every == 1 % every) {
      tally_.samples.emplace_back(line.request, body);
    }
  }

  // A failure counts whenever it happens, also in the warm-up: a peer that drops calls has no figure.
  void fail(Line& line, int status, const char* why) {
    ++failures_;
    if (line.open) {
      if (!counted(line)) ++tally_.requests;
      ++tally_.by_status[status];
      tally_.error_texts.emplace(status, why);
    }
    ended(line, false);
  }

  // Goes on with the next call, on a new connection where this one is gone.
  void ended(Line& line, bool still_there) {
    if (line.open) --waiting_;
    line.open = false;
    if (!still_there) {
      ::close(line.socket);
      if (failures_ > kFailuresAtMost || !connected(line)) return;
    }
    if (Clock::now() < end_) start(line);
  }

  std::string why_lost() const {
    return tally_.error_texts.empty() ? "no new one could be had" : tally_.error_texts.begin()->second;
  }

  const Options options_;
  const sockaddr_in address_;
  std::vector<std::string> requests_;
  std::vector<Line> lines_;
  int poll_ = -1;
  int failures_ = 0;
  uint64_t next_ = 0;
  uint64_t waiting_ = 0;
  Tally tally_;
  Moment begin_, end_;      // the window as planned: decides which calls are counted
  Moment opened_, closed_;  // as it was: the time over which replies and CPU are counted
  CpuReading cpu_begin_, cpu_end_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  if (options.rate > 0) {
    std::cerr << "load: over HTTP there is no fixed schedule; leave --rate out\n";
    return 2;
  }
  return Load(options).run();
}
