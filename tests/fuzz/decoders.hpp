// What every decoder has to keep for any input: libFuzzer's targets and the tests call the same functions.
#pragma once

#include "actnet/net/codec/framing.hpp"
#include "actnet/net/codec/stream_reader.hpp"
#include "actnet/net/connection/pull_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace actnet::fuzz {

/// Ends the process: what a fuzzer takes for a find, and a test for a failure.
inline void must(bool holds, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

/// Hands out an input piece by piece.
class input {
 public:
  explicit input(std::span<const std::uint8_t> all) noexcept : left_(all) {}
  std::uint8_t byte() noexcept {
    if (left_.empty())
      return 0;
    const auto next = left_.front();
    left_ = left_.subspan(1);
    return next;
  }
  std::string_view rest() const noexcept { return {reinterpret_cast<const char*>(left_.data()), left_.size()}; }

 private:
  std::span<const std::uint8_t> left_;
};

/// The formats that a byte chooses from. Small maxima, so that they are met.
inline net::framing format(std::uint8_t choice) {
  using net::framing;
  const auto prefix = [](std::size_t width, framing::order order, std::size_t offset, std::int64_t adjustment) {
    framing::prefix how;
    how.width = width;
    how.order = order;
    how.offset = offset;
    how.adjustment = adjustment;
    how.max = 300;
    return framing::length_prefix(how);
  };
  switch (choice % 14) {
  case 0: return framing::line(40);
  case 1: return framing::delimiter("--", 40);
  case 2: return framing::delimiter("aab", 40);
  case 3: return framing::fixed(1);
  case 4: return framing::fixed(7);
  case 5: return prefix(1, framing::order::big, 0, 0);
  case 6: return prefix(2, framing::order::big, 0, 0);
  case 7: return prefix(3, framing::order::little, 0, 0);
  case 8: return prefix(4, framing::order::big, 0, -4);
  case 9: return prefix(8, framing::order::little, 0, 0);
  case 10: return prefix(2, framing::order::big, 3, 0);
  case 11: return prefix(2, framing::order::little, 2, 5);
  case 12: return framing::varint(300);
  default: return framing::package(2);
  }
}

/// What a stream in pieces comes to: frames, and perhaps what ends them.
inline std::vector<std::string> frames_of(const net::framing& how, std::string_view text,
                                          const std::vector<std::size_t>& cuts) {
  net::read_buffer buffer;
  std::vector<std::string> all;
  std::size_t searched = 0, at = 0, next_cut = 0;
  for (;;) {
    for (;;) {
      const auto got = how.find(buffer, searched);
      if (got.is == net::framing::found::state::incomplete)
        break;
      if (got.is == net::framing::found::state::broken) {
        all.push_back("broken " + std::to_string(static_cast<int>(got.cause)));
        return all;
      }
      must(got.before + got.size + got.after <= buffer.size(), "a frame is of what came");
      must(got.before + got.size + got.after > 0, "a frame takes something");
      searched = 0;
      buffer.drop(got.before);
      all.emplace_back(buffer.take(got.size).view());
      buffer.drop(got.after);
    }
    if (at == text.size())
      break;
    const auto size =
        std::min(text.size() - at, next_cut < cuts.size() ? std::max<std::size_t>(1, cuts[next_cut++]) : text.size());
    buffer.push(net::bytes::copy(text.substr(at, size)));
    at += size;
  }
  all.push_back("left " + std::to_string(buffer.size()));
  return all;
}

/// Any cut gives the same frames, and each frame goes back to the bytes that it came from.
inline void check_framing(std::span<const std::uint8_t> data) {
  input in{data};
  const auto how = format(in.byte());
  const auto cut_count = in.byte() % 16;
  std::vector<std::size_t> cuts;
  for (int i = 0; i < cut_count; ++i)
    cuts.push_back(in.byte());
  const auto text = in.rest();
  const auto whole = frames_of(how, text, {});
  must(frames_of(how, text, cuts) == whole, "a cut changed the frames");
  must(frames_of(how, text, std::vector<std::size_t>(text.size(), 1)) == whole, "single bytes changed the frames");
  std::string back;
  for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
    const auto encoded = how.encode(net::bytes::copy(whole[i]));
    must(encoded.has_value(), "what was a frame cannot be written");
    const auto again = frames_of(how, encoded->view(), {});
    must(again.size() == 2 && again[0] == whole[i] && again[1] == "left 0", "a frame is another one on its way back");
  }
  const auto wanted = how.encode(net::bytes::copy(text));
  if (wanted)
    must(frames_of(how, wanted->view(), cuts)[0].size() == text.size(), "what was written is not read");
}

/// Any cut gives the same answers.
inline void check_stream_reader(std::span<const std::uint8_t> data) {
  input in{data};
  const auto step = static_cast<std::size_t>(in.byte() % 9) + 1;
  std::vector<std::uint8_t> orders(in.byte() % 16);
  for (auto& each : orders)
    each = in.byte();
  const auto text = in.rest();
  const auto answers = [&](std::size_t piece) {
    std::vector<std::string> all;
    net::stream_reader reader;
    std::size_t at = 0;
    for (const auto order : orders) {
      for (;;) {
        const auto size = static_cast<std::size_t>(order / 3);
        auto got = order % 3 == 0   ? reader.read_line(size + 1)
                   : order % 3 == 1 ? reader.read_exact(size)
                                    : reader.read_to_eof(1'000'000);
        if (!got) {
          all.push_back(got.error().message());
          break;
        }
        if (*got) {
          all.emplace_back((*got)->view());
          break;
        }
        if (at < text.size()) {
          const auto part = std::min(piece, text.size() - at);
          must(reader.feed(net::bytes::copy(text.substr(at, part))).has_value(), "it takes bytes");
          at += part;
        } else {
          must(reader.feed_eof().has_value(), "the end comes once");
        }
      }
    }
    return all;
  };
  must(answers(step) == answers(text.size() + 1), "a cut changed the answers");
}

/// Any cut gives the same lines, and none is longer than it may be.
inline void check_pull_reader(std::span<const std::uint8_t> data) {
  input in{data};
  const auto step = static_cast<std::size_t>(in.byte() % 9) + 1;
  const auto max = static_cast<std::size_t>(in.byte());
  struct noted final : net::pull {
    void on_pulled(net::bytes payload, std::error_code why) noexcept override {
      got = payload.view();
      cause = why;
      done = true;
    }
    std::string got;
    std::error_code cause;
    bool done = false;
  };
  const auto text = in.rest();
  const auto lines = [&](std::size_t piece) {
    std::vector<std::string> all;
    net::pull_reader reader;
    std::size_t at = 0;
    for (;;) {
      noted pull;
      pull.as_line();
      pull.size = max;
      reader.queue(pull);
      reader.serve({}, false);
      while (!pull.done) {
        if (at < text.size()) {
          const auto part = std::min(piece, text.size() - at);
          reader.feed(net::bytes::copy(text.substr(at, part)), {});
          at += part;
        } else {
          reader.end({});
        }
        reader.serve({}, false);
      }
      all.push_back(pull.got + (pull.cause ? pull.cause.message() : ""));
      must(pull.cause || pull.got.size() <= max, "a line is no longer than it may be");
      if (pull.cause)
        return all;
    }
  };
  must(lines(step) == lines(text.size() + 1), "a cut changed the lines");
}

} // namespace actnet::fuzz
