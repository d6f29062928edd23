#include "reply.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace {

const size_t kLongest = size_t(1) << 26;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return text;
}

// The value of a header in a head in small letters; empty where there is none.
std::string header(const std::string& head, const std::string& name) {
  size_t at = head.find("\r\n" + name + ":");
  if (at == std::string::npos) return "";
  at += name.size() + 3;
  std::string value = head.substr(at, head.find("\r\n", at) - at);
  value.erase(0, value.find_first_not_of(' '));
  return value;
}

// A whole number in this base that fills the text up to its end; false for anything else.
bool number(const std::string& text, int base, size_t* value) {
  char* end = nullptr;
  if (text.empty() || !std::isxdigit((unsigned char)text[0])) return false;
  *value = std::strtoull(text.c_str(), &end, base);
  return *end == '\0' && *value <= kLongest;
}

}  // namespace

void Reply::clear() { *this = Reply(); }

Reply::State Reply::add(const char* bytes, size_t count) {
  raw_.append(bytes, count);
  if (raw_.size() > 2 * kLongest) return State::kBroken;
  if (body_at_ == 0) {
    State head = read_head();
    if (head != State::kWhole) return head;
  }
  if (chunked_) return read_chunks();
  if (raw_.size() < body_at_ + length_) return State::kPartial;
  if (raw_.size() > body_at_ + length_) return State::kBroken;
  body_.assign(raw_, body_at_, length_);
  return State::kWhole;
}

Reply::State Reply::read_head() {
  size_t end = raw_.find("\r\n\r\n");
  if (end == std::string::npos) return State::kPartial;
  std::string head = lower(raw_.substr(0, end + 2));
  if (head.compare(0, 7, "http/1.") != 0 || head.size() < 12) return State::kBroken;
  status_ = std::atoi(head.c_str() + 9);
  chunked_ = header(head, "transfer-encoding") == "chunked";
  keeps_open_ = header(head, "connection") != "close" && head.compare(0, 8, "http/1.1") == 0;
  if (!chunked_ && !number(header(head, "content-length"), 10, &length_)) return State::kBroken;
  body_at_ = end + 4;
  return State::kWhole;
}

// Reads all chunks anew each time; replies are small and mostly come in one piece.
Reply::State Reply::read_chunks() {
  body_.clear();
  for (size_t at = body_at_;;) {
    size_t line_end = raw_.find("\r\n", at);
    if (line_end == std::string::npos) return State::kPartial;
    size_t size = 0;
    if (!number(raw_.substr(at, line_end - at), 16, &size)) return State::kBroken;
    at = line_end + 2;
    if (raw_.size() < at + size + 2) return State::kPartial;
    if (raw_.compare(at + size, 2, "\r\n") != 0) return State::kBroken;
    if (size == 0) return at + 2 == raw_.size() ? State::kWhole : State::kBroken;
    body_.append(raw_, at, size);
    at += size + 2;
  }
}
