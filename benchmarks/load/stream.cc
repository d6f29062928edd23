// Drives one bidirectional gRPC method with raw bytes over one stream and tells how it answered.
//
// Closed loop: N messages are unanswered at all times. The k-th answer answers the k-th message, as the contract says;
// a server that answers in another order, twice or not at all is noticed by whoever reads the samples, or by the end
// of the stream: every message that was sent must be answered before the stream ends with OK.

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <deque>
#include <iostream>
#include <memory>

#include "options.h"
#include "tally.h"

using Clock = std::chrono::steady_clock;
using Moment = Clock::time_point;

namespace {

Clock::duration seconds(double value) { return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value)); }

enum Tag : intptr_t { kStarted = 1, kWritten, kRead, kDone, kFinished };

void* tag(Tag which) { return reinterpret_cast<void*>(intptr_t(which)); }

struct Sent {
  Moment at;
  uint32_t request;
};

class Stream {
 public:
  explicit Stream(const Options& options)
      : options_(options),
        channel_(grpc::CreateChannel(options.target, grpc::InsecureChannelCredentials())),
        stub_(channel_) {
    for (const std::string& message : read_messages(options.requests_file)) {
      grpc::Slice slice(message);
      requests_.emplace_back(&slice, 1);
    }
  }

  // Returns the exit status: 0 when a connection stood, the stream ran to its end, and every message was answered.
  int run() {
    if (!channel_->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
      std::cerr << "stream: no connection to " << options_.target << " within 10 s\n";
      return 1;
    }
    begin_ = Clock::now() + seconds(options_.warmup_seconds);
    end_ = begin_ + seconds(options_.seconds);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::duration_cast<std::chrono::system_clock::duration>(
                             seconds(options_.warmup_seconds + options_.seconds + options_.timeout_seconds)));
    call_ = stub_.PrepareCall(&context, options_.method, &queue_);
    call_->StartCall(tag(kStarted));
    while (!finished_) take();
    watch_the_window(Clock::now());
    ++tally_.by_status[int(status_.error_code())];
    if (!status_.ok()) tally_.error_texts.emplace(int(status_.error_code()), status_.error_message());
    tally_.by_status[0] = tally_.latencies_ns.size();
    tally_.unsent = open_.size();
    report(options_, tally_, std::chrono::duration<double>(closed_ - opened_).count(), cpu_begin_, cpu_end_);
    if (!options_.samples_file.empty()) write_samples(options_.samples_file, tally_);
    return 0;
  }

 private:
  void take() {
    void* what = nullptr;
    bool fine = false;
    Moment now = Clock::now();
    watch_the_window(now);
    Moment wake = now < begin_ ? begin_ : now < end_ ? end_ : now + std::chrono::milliseconds(50);
    auto deadline = std::chrono::system_clock::now() + (wake - now);
    if (queue_.AsyncNext(&what, &fine, deadline) != grpc::CompletionQueue::GOT_EVENT) return;
    switch (Tag(reinterpret_cast<intptr_t>(what))) {
      case kStarted:
        if (!fine) return finish();
        call_->Read(&reply_, tag(kRead));
        return write();
      case kWritten:
        writing_ = false;
        return fine ? write() : finish();
      case kRead:
        if (!fine) return finish();
        note(Clock::now());
        call_->Read(&reply_, tag(kRead));
        return write();
      case kDone:
        return;
      case kFinished:
        finished_ = true;
    }
  }

  // Sends the next message where there is room; says that no more will come once the window is over.
  void write() {
    if (writing_ || said_done_) return;
    Moment now = Clock::now();
    if (now >= end_) {
      said_done_ = true;
      call_->WritesDone(tag(kDone));
    } else if (open_.size() < size_t(options_.in_flight)) {
      uint32_t request = uint32_t(next_++ % requests_.size());
      open_.push_back({now, request});
      if (now >= begin_) ++tally_.requests;
      writing_ = true;
      call_->Write(requests_[request], tag(kWritten));
    }
  }

  void note(Moment now) {
    if (open_.empty()) {
      ++tally_.by_status[int(grpc::StatusCode::DATA_LOSS)];
      tally_.error_texts.emplace(int(grpc::StatusCode::DATA_LOSS), "an answer to nothing that was sent");
      return;
    }
    Sent sent = open_.front();
    open_.pop_front();
    ++tally_.ok_in_all;
    if (opened_ == Moment{} || closed_ != Moment{}) return;
    ++tally_.completed_in_window;
    if (sent.at < begin_) return;
    uint64_t size = reply_.Length();
    tally_.latencies_ns.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(now - sent.at).count());
    tally_.bytes_received += size;
    tally_.reply_min = std::min(tally_.reply_min, size);
    tally_.reply_max = std::max(tally_.reply_max, size);
    if (!options_.samples_file.empty() && tally_.latencies_ns.size() % size_t(options_.sample_every) == 1 % size_t(options_.sample_every)) keep(sent.request);
  }

  void keep(uint32_t request) {
    std::vector<grpc::Slice> slices;
    std::string whole;
    if (!reply_.Dump(&slices).ok()) return;
    for (const grpc::Slice& slice : slices) whole.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    tally_.samples.emplace_back(request, std::move(whole));
  }

  // Reads CPU times as the window opens and closes.
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

  void finish() {
    if (finishing_) return;
    finishing_ = true;
    call_->Finish(&status_, tag(kFinished));
  }

  const Options options_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  std::vector<grpc::ByteBuffer> requests_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::ByteBuffer reply_;
  grpc::Status status_;
  std::deque<Sent> open_;  // what was sent and not answered, the oldest first
  uint64_t next_ = 0;
  bool writing_ = false, said_done_ = false, finishing_ = false, finished_ = false;
  Tally tally_;

  Moment begin_, end_;      // the window as planned
  Moment opened_, closed_;  // as it was
  CpuReading cpu_begin_, cpu_end_;
};

}  // namespace

int main(int argc, char** argv) { return Stream(parse(argc, argv)).run(); }
