// Drives one unary gRPC method with raw bytes over one channel and tells how it answered.
//
// Closed loop: N calls are open at all times. Open loop (--rate): calls are due on a fixed schedule and their latency
// counts from the moment they were due, whether or not they could be sent then, so a slow server cannot hide its
// slowness by slowing its caller (coordinated omission). Latencies are kept exactly, one by one. With --patience, what
// finds all N calls open for so long is given up and never sent, and the deadline counts from the moment it was due.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <sys/prctl.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <iostream>
#include <mutex>
#include <optional>
#include <thread>

#include "options.h"
#include "tally.h"

using Clock = std::chrono::steady_clock;
using Moment = Clock::time_point;

namespace {

Clock::duration seconds(double value) { return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value)); }

// One open call; reused for call after call.
struct Slot {
  std::optional<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> call;
  grpc::ByteBuffer reply;
  grpc::Status status;
  Moment due;
  uint32_t request = 0;
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        channel_(grpc::CreateChannel(options.target, grpc::InsecureChannelCredentials())),
        stub_(channel_),
        slots_(size_t(options.in_flight)) {
    for (const std::string& message : read_messages(options.requests_file)) {
      grpc::Slice slice(message);
      requests_.emplace_back(&slice, 1);
    }
  }

  // Returns the exit status: 0 when a connection stood and the load ran to its end.
  int run() {
    if (!channel_->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
      std::cerr << "load: no connection to " << options_.target << " within 10 s\n";
      return 1;
    }
    begin_ = Clock::now() + seconds(options_.warmup_seconds);
    end_ = begin_ + seconds(options_.seconds);
    std::thread pacer;
    if (options_.rate > 0) {
      for (Slot& slot : slots_) free_.push_back(&slot);
      pacer = std::thread([this] { pace(); });
    } else {
      for (Slot& slot : slots_) start(slot, Clock::now());
    }
    work();
    if (pacer.joinable()) pacer.join();
    report(options_, tally_, std::chrono::duration<double>(closed_ - opened_).count(), cpu_begin_, cpu_end_);
    if (!options_.samples_file.empty()) write_samples(options_.samples_file, tally_);
    return 0;
  }

 private:
  bool counted(Moment due) const { return due >= begin_ && due < end_; }

  void start(Slot& slot, Moment due) {
    slot.due = due;
    slot.request = uint32_t(next_++ % requests_.size());
    slot.context.emplace();
    const Clock::duration late = options_.patience_seconds < 0 ? Clock::duration{} : Clock::now() - due;
    slot.context->set_deadline(std::chrono::system_clock::now() + seconds(options_.timeout_seconds) - late);
    slot.reply.Clear();
    if (counted(due)) ++tally_.requests;
    ++open_;
    slot.call = stub_.PrepareUnaryCall(&*slot.context, options_.method, requests_[slot.request], &queue_);
    slot.call->StartCall();
    slot.call->Finish(&slot.reply, &slot.status, &slot);
  }

  // Open loop: makes calls due on the schedule, on a thread of its own so that waiting for replies delays none.
  void pace() {
    prctl(PR_SET_TIMERSLACK, 1);  // the default of 50 us would be counted as latency
    const Clock::duration step = seconds(1 / options_.rate);
    for (Moment due = begin_ - seconds(options_.warmup_seconds); due < end_; due += step) {
      std::this_thread::sleep_until(due);
      std::lock_guard<std::mutex> hold(lock_);
      forget(due);
      backlog_.push_back(due);
      tally_.backlog_max = std::max<uint64_t>(tally_.backlog_max, backlog_.size());
      start_due();
      if (options_.patience_seconds == 0) give_up();
    }
    paced_ = true;
  }

  // Sends what is due as far as there is room. Expects the lock to be held.
  void start_due() {
    while (!backlog_.empty() && !free_.empty()) {
      Slot* slot = free_.back();
      free_.pop_back();
      Moment due = backlog_.front();
      backlog_.pop_front();
      start(*slot, due);
    }
  }

  // Takes replies until the window is over and every open call has ended.
  void work() {
    while (true) {
      Moment now = Clock::now();
      watch_the_window(now);
      if (now >= end_ && finished(now)) return;
      Moment wake = now < begin_ ? begin_ : now < end_ ? end_ : now + std::chrono::milliseconds(50);
      void* tag = nullptr;
      bool fine = false;
      auto deadline = std::chrono::system_clock::now() + (wake - now);
      if (queue_.AsyncNext(&tag, &fine, deadline) == grpc::CompletionQueue::GOT_EVENT) {
        take(*static_cast<Slot*>(tag));
      }
    }
  }

  // Reads CPU times as the window opens and closes; the loop wakes for both even when no reply comes.
  void watch_the_window(Moment now) {
    if (now >= begin_ && opened_ == Moment{}) {
      opened_ = now;
      cpu_begin_ = read_cpu(options_.watched);
    }
    if (now >= end_ && closed_ == Moment{}) {
      closed_ = now;
      cpu_end_ = read_cpu(options_.watched);
    }
  }

  // True when nothing is left to wait for. What is still unsent one timeout after the end is given up and counted.
  bool finished(Moment now) {
    std::lock_guard<std::mutex> hold(lock_);
    if (options_.rate > 0 && !paced_) return false;
    if (now >= end_ + seconds(options_.timeout_seconds)) give_up();
    return open_ == 0 && backlog_.empty();
  }

  // Gives up what has been due for longer than its caller's patience.
  void forget(Moment now) {
    if (options_.patience_seconds < 0) return;
    while (!backlog_.empty() && now - backlog_.front() > seconds(options_.patience_seconds)) {
      if (counted(backlog_.front())) {
        ++tally_.requests;
        ++tally_.unsent;
      }
      backlog_.pop_front();
    }
  }

  void give_up() {
    for (Moment due : backlog_) {
      if (!counted(due)) continue;
      ++tally_.requests;
      ++tally_.unsent;
    }
    backlog_.clear();
  }

  void take(Slot& slot) {
    Moment now = Clock::now();
    std::lock_guard<std::mutex> hold(lock_);
    --open_;
    if (slot.status.ok()) ++tally_.ok_in_all;
    if (slot.status.ok() && opened_ != Moment{} && closed_ == Moment{}) ++tally_.completed_in_window;
    if (counted(slot.due)) note(slot, now);
    else if (!slot.status.ok()) note_failure(slot);  // a warm-up that fails is no warm-up
    if (options_.rate > 0) {
      free_.push_back(&slot);
      start_due();
    } else if (now < end_) {
      start(slot, now);
    }
  }

  void note_failure(const Slot& slot) {
    ++tally_.by_status[int(slot.status.error_code())];
    tally_.error_texts.emplace(int(slot.status.error_code()), slot.status.error_message());
  }

  void note(Slot& slot, Moment now) {
    if (!slot.status.ok()) return note_failure(slot);
    ++tally_.by_status[0];
    uint64_t size = slot.reply.Length();
    tally_.latencies_ns.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(now - slot.due).count());
    tally_.bytes_received += size;
    tally_.reply_min = std::min(tally_.reply_min, size);
    tally_.reply_max = std::max(tally_.reply_max, size);
    if (!options_.samples_file.empty() && tally_.latencies_ns.size() % size_t(options_.sample_every) == 1 % size_t(options_.sample_every)) {
      keep(slot);
    }
  }

  void keep(Slot& slot) {
    std::vector<grpc::Slice> slices;
    std::string whole;
    if (!slot.reply.Dump(&slices).ok()) return;
    for (const grpc::Slice& slice : slices) whole.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    tally_.samples.emplace_back(slot.request, std::move(whole));
  }

  const Options options_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  std::vector<grpc::ByteBuffer> requests_;
  std::vector<Slot> slots_;

  std::mutex lock_;  // shared with the pacer; never contended in a closed loop
  std::vector<Slot*> free_;
  std::deque<Moment> backlog_;
  std::atomic<bool> paced_ = false;
  uint64_t next_ = 0;
  uint64_t open_ = 0;
  Tally tally_;

  Moment begin_, end_;       // the window as planned: decides which calls are counted
  Moment opened_, closed_;   // as it was: the time over which replies and CPU are counted
  CpuReading cpu_begin_, cpu_end_;
};

}  // namespace

int main(int argc, char** argv) { return Load(parse(argc, argv)).run(); }
