// One HTTP/1.1 reply, as it arrives piece by piece.
#pragma once

#include <cstddef>
#include <string>

class Reply {
 public:
  enum class State { kPartial, kWhole, kBroken };

  // Takes what arrived. A reply is whole when its declared length or its last chunk is there; what says neither, or
  // goes on after its end, is broken: a body that ends with the connection cannot be told from one cut short.
  State add(const char* bytes, size_t count);

  int status() const { return status_; }
  bool keeps_open() const { return keeps_open_; }
  const std::string& body() const { return body_; }
  void clear();

 private:
  State read_head();
  State read_chunks();

  std::string raw_;
  std::string body_;
  size_t body_at_ = 0;  // where the body begins in what arrived; 0 while the head is not whole
  size_t length_ = 0;
  int status_ = 0;
  bool chunked_ = false;
  bool keeps_open_ = true;
};
