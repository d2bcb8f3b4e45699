// Parts of files among the writes of a connection: order, ends that come too early, files that are none.
#include "net/connection/stage.hpp"

#include "support/scratch_folder.hpp"

#include "actnet/net/socket/system_calls.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <optional>

namespace actnet::test {
namespace {

std::string positions(std::size_t count) {
  const auto all = position_stream(1).bytes(count);
  return {reinterpret_cast<const char*>(all.data()), count};
}

/// A kernel whose sendfile(2) fails, after a number of good calls.
struct sendfile_fails final : net::system_calls {
  explicit sendfile_fails(int with, int good_calls = 0) : number(with), good(good_calls) {}
  ssize_t sendfile(int to, int from, off_t* offset, std::size_t count) noexcept override {
    if (good-- > 0)
      return net::system_calls::sendfile(to, from, offset, count);
    errno = number;
    return -1;
  }
  int number;
  int good;
};

/// A kernel that takes files without looking at them, and notes where each part began.
struct sendfile_claims final : net::system_calls {
  ssize_t sendfile(int, int, off_t* offset, std::size_t count) noexcept override {
    in_order = in_order && *offset == next;
    next = *offset + static_cast<off_t>(count);
    return static_cast<ssize_t>(count);
  }
  off_t next = 0;
  bool in_order = true;
};

constexpr std::uint64_t five_gib = 5ull << 30;

std::ptrdiff_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

/// Pumps the loop until the peer has so many bytes.
std::string read_while_serving(stage& on, subject& s, std::size_t size) {
  std::string got;
  while (got.size() < size) {
    on.settle();
    got += s.far.read_some(size - got.size());
  }
  return got;
}

} // namespace

TEST_CASE("a part beyond the first 4 GiB of a file is sent, with sendfile and without") {
  const scratch_folder folder;
  const auto path = folder.file("sparse", "");
  std::filesystem::resize_file(path, five_gib);
  std::ofstream{path, std::ios::app} << "behind it";
  sendfile_fails no_sendfile{EINVAL};
  std::optional<net::replaced_system_calls> replaced;
  if (GENERATE(false, true))
    replaced.emplace(no_sendfile);
  stage on;
  auto& s = on.open();
  s.write_file(path, 1, five_gib);
  s.write_file(path, 2, five_gib + 7, 2);
  s.write_file(path, 3, five_gib + 10);
  CHECK(read_while_serving(on, s, 11) == "behind itit");
  CHECK(s.outcome_of(3)->cause == errc::file_too_short);
}

TEST_CASE("a file of more than 4 GiB is counted as such") {
  const scratch_folder folder;
  const auto path = folder.file("sparse", "");
  std::filesystem::resize_file(path, five_gib + 3);
  sendfile_claims kernel;
  const net::replaced_system_calls replaced{kernel};
  stage on;
  auto& s = on.open();
  s.write_file(path, 1);
  CHECK(on.pump_until([&] { return s.outcome_of(1) != nullptr; }));
  CHECK_FALSE(s.outcome_of(1)->cause);
  CHECK(s.outcome_of(1)->sent == five_gib + 3);
  CHECK(kernel.in_order);
  CHECK(kernel.next == static_cast<off_t>(five_gib + 3));
}

TEST_CASE(
    "files of the kernel, whose size does not tell what is in them, are refused before anything of them is sent") {
  stage on;
  auto& s = on.open();
  s.write(text("before "), 1);
  s.write_file("/proc/self/status", 2);                    // "0 bytes"
  s.write_file("/sys/devices/system/cpu/online", 3);       // "4096 bytes"
  s.write_file("/sys/devices/system/cpu/online", 4, 0, 1); // which it has
  s.write(text(" after"), 5);
  on.settle();
  CHECK(s.outcome_of(2)->cause == errc::not_a_file);
  if (std::filesystem::exists("/sys/devices/system/cpu/online")) {
    CHECK(s.outcome_of(3)->cause == errc::not_a_file);
    CHECK_FALSE(s.outcome_of(4)->cause);
    CHECK(read_while_serving(on, s, 14) == "before 0 after");
  }
  CHECK_FALSE(s.closed());
}

TEST_CASE("files without a block of their own are files: empty ones, and those that are all hole") {
  const scratch_folder folder;
  const auto hole = folder.file("hole", "");
  REQUIRE(::truncate(hole.c_str(), 3) == 0);
  stage on;
  auto& s = on.open();
  s.write_file(folder.file("empty", ""), 1);
  s.write_file(hole, 2);
  on.settle();
  CHECK_FALSE(s.outcome_of(1)->cause);
  CHECK(read_while_serving(on, s, 3) == std::string(3, '\0'));
}

TEST_CASE("parts of files go out among the writes, in order") {
  const scratch_folder folder;
  const auto all = positions(1'000'000);
  const auto path = folder.file("file", all);
  stage on;
  auto& s = on.open();
  s.write(text("before "), 1);
  s.write_file(path, 2, 10, 20);
  s.write_file(path, 3, 500'000); // to the end
  s.write(text(" after"), 4);
  s.flush(5);
  const auto expected = "before " + all.substr(10, 20) + all.substr(500'000) + " after";
  CHECK(read_while_serving(on, s, expected.size()) == expected);
  CHECK(s.log == std::vector<std::string>{"done 1", "done 2", "done 3", "done 4", "done 5"});
  CHECK(s.outcome_of(2)->sent == 20);
  CHECK(s.outcome_of(3)->sent == 500'000);
  CHECK(s.near.counters().bytes_sent == expected.size());
}

TEST_CASE("an empty file, and an empty part at its end, are sent at once") {
  const scratch_folder folder;
  stage on;
  auto& s = on.open();
  s.write_file(folder.file("empty", ""), 1);
  s.write_file(folder.file("full", "full"), 2, 4);
  s.finish(3);
  on.settle();
  CHECK(s.log == std::vector<std::string>{"done 1", "done 2", "done 3"});
  CHECK(s.far.read_to_end().empty());
}

TEST_CASE("where the kernel does not send from a file, its bytes are copied") {
  sendfile_fails calls{GENERATE(ENOSYS, EINVAL), GENERATE(0, 2)};
  const net::replaced_system_calls replaced{calls};
  const scratch_folder folder;
  const auto all = positions(700'000);
  stage on;
  auto& s = on.open();
  s.write_file(folder.file("file", all), 1, 5);
  s.write(text("after"), 2);
  CHECK(read_while_serving(on, s, all.size()) == all.substr(5) + "after");
  CHECK(s.log == std::vector<std::string>{"done 1", "done 2"});
}

TEST_CASE("a file that cannot be sent fails alone, with none of it sent") {
  const scratch_folder folder;
  const auto path = folder.file("file", "0123456789");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  stage on;
  auto& s = on.open();
  s.write(text("a"), 1);
  s.write_file(folder / "none", 2);
  s.write_file(folder / "", 3);
  s.write_file(folder / "pipe", 4);
  s.write_file("/dev/null", 5);
  s.write_file(path, 6, 11);
  s.write_file(path, 7, 5, 6);
  s.write_file(path, 8, 1, static_cast<std::uint64_t>(-1));
  s.write(text("b"), 9);
  on.settle();
  CHECK(s.outcome_of(2)->cause == errc::no_such_path);
  for (const auto token : {3, 4, 5})
    CHECK(s.outcome_of(static_cast<std::uint64_t>(token))->cause == errc::not_a_file);
  for (const auto token : {6, 7, 8})
    CHECK(s.outcome_of(static_cast<std::uint64_t>(token))->cause == errc::file_too_short);
  CHECK(s.log.front() == "done 1");
  CHECK(s.log.back() == "done 9");
  CHECK(s.far.read_exactly(2) == "ab");
  CHECK_FALSE(s.closed());
}

TEST_CASE("a name with a NUL byte is no other file's") {
  const scratch_folder folder;
  const auto secret = folder.file("secret", "secret");
  stage on;
  auto& s = on.open();
  s.write_file(secret + '\0' + ".public", 1);
  s.write(text("b"), 2);
  on.settle();
  CHECK(s.outcome_of(1)->cause == errc::invalid_argument);
  CHECK(s.far.read_exactly(1) == "b");
  CHECK_FALSE(s.closed());
}

TEST_CASE("a file that becomes shorter on the way ends the connection, and says so") {
  const auto copied = GENERATE(false, true);
  sendfile_fails calls{ENOSYS, copied ? 0 : 1'000'000};
  const net::replaced_system_calls replaced{calls};
  const scratch_folder folder;
  const auto path = folder.file("file", positions(8'000'000));
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 4'096}, 4'096);
  s.write_file(path, 1);
  s.write(text("never"), 2);
  on.settle();
  REQUIRE_FALSE(s.outcome_of(1));
  REQUIRE(::truncate(path.c_str(), 1'000) == 0);
  while (!s.closed()) {
    if (s.far.unread() > 0)
      s.far.read_some(100'000);
    on.settle();
  }
  CHECK(s.outcome_of(1)->cause == errc::file_too_short);
  CHECK(s.outcome_of(1)->sent >= 1'000);
  CHECK(s.outcome_of(1)->sent < 8'000'000);
  REQUIRE(s.outcome_of(2));
  CHECK(s.outcome_of(2)->cause == errc::file_too_short);
  CHECK(s.reason == close_reason::error);
  CHECK(s.cause == errc::file_too_short);
  CHECK(s.far.await_end() == ending_of_abort(on.over)); // an RST is not taken for the whole
}

TEST_CASE("what is queued behind a file that breaks off does not make its end look orderly") {
  const std::string behind = GENERATE("finish", "close");
  const auto peer_finished_before = GENERATE(false, true);
  INFO(behind << (peer_finished_before ? ", the peer has finished" : ""));
  sendfile_fails calls{EIO, 1};
  const net::replaced_system_calls replaced{calls};
  const scratch_folder folder;
  connection_options options;
  options.allow_half_open = true;
  stage on;
  auto& s = on.open(options);
  if (peer_finished_before) {
    s.far.finish();
    on.settle();
    REQUIRE(s.count("peer_finished") == 1);
  }
  s.write_file(folder.file("file", positions(1'000'000)), 1);
  if (behind == "finish")
    s.finish(2);
  else
    s.near.close();
  on.settle();
  CHECK(s.outcome_of(1)->cause == errc::io_error);
  if (behind == "finish")
    CHECK(s.outcome_of(2)->cause == errc::io_error);
  CHECK(s.reason == close_reason::error);
  CHECK(s.cause == errc::io_error);
  CHECK(s.far.await_end() == ending_of_abort(on.over));
}

TEST_CASE("a file that can neither be sent from nor read is an error") {
  struct nothing_works final : net::system_calls {
    ssize_t sendfile(int, int, off_t*, std::size_t) noexcept override {
      errno = EINVAL;
      return -1;
    }
    ssize_t pread(int, void*, std::size_t, off_t) noexcept override {
      errno = EOPNOTSUPP;
      return -1;
    }
  } calls;
  const net::replaced_system_calls replaced{calls};
  const scratch_folder folder;
  stage on;
  auto& s = on.open();
  s.write_file(folder.file("file", positions(1'000)), 1);
  on.settle();
  CHECK(s.outcome_of(1)->cause == errc::not_supported);
  CHECK(s.reason == close_reason::error);
}

TEST_CASE("a file that cannot be read ends the connection") {
  sendfile_fails calls{EIO, 1};
  const net::replaced_system_calls replaced{calls};
  const scratch_folder folder;
  stage on;
  auto& s = on.open();
  s.write_file(folder.file("file", positions(1'000'000)), 1);
  on.settle();
  CHECK(s.outcome_of(1)->cause == errc::io_error);
  CHECK(s.reason == close_reason::error);
}

TEST_CASE("of many queued files one is open at a time, and none when the connection is gone") {
  const scratch_folder folder;
  const auto path = folder.file("file", positions(3'000'000));
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 4'096}, 4'096);
  on.settle();
  const auto before = open_descriptors();
  for (std::uint64_t token = 1; token <= 50; ++token)
    s.write_file(path, token);
  on.settle();
  CHECK(open_descriptors() == before + 1);
  s.near.abort();
  on.settle();
  CHECK(open_descriptors() == before - 1); // the connection's is gone too
  CHECK(s.outcomes.size() == 50);
  for (const auto& each : s.outcomes)
    CHECK(each.cause == errc::aborted);
}

TEST_CASE("a peer that resets while a file is sent is no broken pipe for the process") {
  const scratch_folder folder;
  const auto path = folder.file("file", positions(3'000'000));
  stage on;
  auto& s = on.open({}, true, {.receive_buffer_bytes = 4'096}, 4'096);
  s.near.pause_reading();
  s.write_file(path, 1);
  on.settle();
  s.far.reset();
  s.write_file(path, 2);
  while (!s.closed())
    on.settle();
  CHECK(s.outcome_of(1)->cause == errc::connection_reset);
  CHECK(s.outcome_of(2)->cause == errc::connection_reset);
}

} // namespace actnet::test
