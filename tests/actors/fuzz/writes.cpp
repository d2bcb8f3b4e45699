// Writers on the connection's loop, on another, on CAF's scheduler and in a thread; bytes, files, requests and flushes,
// and a peer that reads at a random speed: whatever was taken comes once, whole and in its sender's order, and what was
// refused never.
#include "support/fuzzing.hpp"
#include "support/scratch_folder.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <thread>

using namespace actnet;
using namespace actnet::test;

namespace {

/// What a write came to. Nobody asks what those of the thread do.
enum class fate { written, refused, failed };

struct chunk_id {
  std::uint16_t writer;
  std::uint16_t number;
  auto operator<=>(const chunk_id&) const = default;
};

struct chunk_header {
  char mark = 'C';
  std::uint8_t writer;
  std::uint16_t number;
  std::uint32_t size;
};

std::string chunk(chunk_id of, std::uint32_t size) {
  const chunk_header header{'C', static_cast<std::uint8_t>(of.writer), of.number, size};
  std::string text(sizeof header + size, '\0');
  std::memcpy(text.data(), &header, sizeof header);
  for (std::uint32_t i = 0; i < size; ++i)
    text[sizeof header + i] = static_cast<char>(of.writer * 7u + of.number * 13u + i);
  return text;
}

/// The outcomes of the writes of one run. Any thread.
class outcomes {
 public:
  void add(chunk_id of, const caf::error& cause) {
    std::lock_guard guard{mutex_};
    const auto is = !cause ? fate::written : code_of(cause) == errc::queue_full ? fate::refused : fate::failed;
    twice_ += !fates_.emplace(of, is).second;
  }
  std::size_t count() const {
    std::lock_guard guard{mutex_};
    return fates_.size();
  }
  int twice() const {
    std::lock_guard guard{mutex_};
    return twice_;
  }
  std::map<chunk_id, fate> all() const {
    std::lock_guard guard{mutex_};
    return fates_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<chunk_id, fate> fates_;
  int twice_ = 0;
};

struct write_more {};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(write_more)

namespace {

constexpr std::uint16_t writes_of_each = 40;

constexpr bool is_flush(chunk_id id) {
  return id.number % 5 == 0;
}

/// On a loop, or on CAF's scheduler.
class chunk_writer : public handler {
 public:
  chunk_writer(caf::actor_config& cfg, std::shared_ptr<outcomes> book, connection to, std::uint16_t who, unsigned seed,
               const scratch_folder& folder)
      : handler(cfg), book_(std::move(book)), to_(std::move(to)), who_(who), by_(seed), folder_(folder) {}

  caf::behavior make_behavior() override {
    send(this, write_more{});
    return {
        [this](write_more) {
          for (auto left = by_.below(4) + 1; left > 0 && last_ < writes_of_each; --left)
            write_one({who_, ++last_});
          if (last_ < writes_of_each)
            send(this, write_more{});
        },
        [this](const stream::written& w) {
          book_->add({who_, static_cast<std::uint16_t>(w.token)}, w.cause);
        },
        [](const stream::writable&) {},
    };
  }

 private:
  void write_one(chunk_id id) {
    if (is_flush(id)) {
      to_.flush(id.number);
      return;
    }
    const auto text = chunk(id, by_.below(by_.one_in(3) ? 40'000 : 200));
    switch (by_.below(3)) {
    case 0:
      to_.write_file(folder_.file(std::to_string(id.writer) + "." + std::to_string(id.number), text), 0, 0, id.number);
      break;
    case 1:
      request(to_.actor(), caf::infinite, stream::write{net::bytes::copy(text), id.number})
          .then([this, id](const stream::written& w) { book_->add(id, w.cause); },
                [this, id](const caf::error& cause) { book_->add(id, cause); });
      break;
    default: to_.write(text, id.number); break;
    }
  }

  std::shared_ptr<outcomes> book_;
  connection to_;
  std::uint16_t who_;
  chance by_;
  const scratch_folder& folder_;
  std::uint16_t last_ = 0;
};

class writers_owner : public handler {
 public:
  writers_owner(caf::actor_config& cfg, std::shared_ptr<std::atomic<int>> closed)
      : handler(cfg), closed_(std::move(closed)) {}
  caf::behavior make_behavior() override {
    return {[](const stream::received&) {}, [](const stream::peer_finished&) {}, [](const stream::writable&) {},
            [this](const stream::closed&) { ++*closed_; }};
  }

 private:
  std::shared_ptr<std::atomic<int>> closed_;
};

/// Reads `got` as chunks, and holds them against what their writers were told. Empty: nothing was wrong.
std::string wrong_with_chunks(std::string_view got, const std::map<chunk_id, fate>& told, std::uint16_t silent) {
  std::map<std::uint16_t, std::uint16_t> last;
  std::size_t came = 0;
  for (std::size_t at = 0; at < got.size();) {
    chunk_header header;
    if (got.size() - at < sizeof header || got[at] != 'C')
      return "no chunk at " + std::to_string(at) + " of " + std::to_string(got.size());
    std::memcpy(&header, got.data() + at, sizeof header);
    const chunk_id id{header.writer, header.number};
    const auto what = std::to_string(id.writer) + "/" + std::to_string(id.number);
    if (header.size > 40'000 || got.substr(at, sizeof header + header.size) != chunk(id, header.size))
      return what + " is not whole";
    if (id.number <= last[id.writer])
      return what + " comes after " + std::to_string(last[id.writer]);
    const auto found = told.find(id);
    if (id.writer != silent && (found == told.end() || found->second != fate::written))
      return what + " came, and was not told as written";
    last[id.writer] = id.number;
    came += id.writer != silent;
    at += sizeof header + header.size;
  }
  const auto due = std::count_if(
      told.begin(), told.end(), [](const auto& each) { return each.second == fate::written && !is_flush(each.first); });
  if (came != static_cast<std::size_t>(due))
    return std::to_string(came) + " chunks came of " + std::to_string(due);
  if (std::any_of(told.begin(), told.end(), [](const auto& each) { return each.second == fate::failed; }))
    return "a write failed";
  return {};
}

/// What was wrong; empty: nothing.
std::string wrong_with_writes(fuzz_world& world, unsigned seed) {
  constexpr std::uint16_t actors_count = 4;
  constexpr std::uint16_t in_thread = actors_count + 1;
  chance by{seed};
  const scratch_folder folder;
  const auto book = std::make_shared<outcomes>();
  const auto closed = std::make_shared<std::atomic<int>>(0);
  auto ends = world.open_stream(seed % 2 != 0 ? carrier::tcp : carrier::local, 4'096 << by.below(6));
  const auto owner = spawn_on<writers_owner>(world.loop(0), closed);
  connection_options options;
  options.write_high_bytes = by.one_in(2) ? 30'000 : 1 << 20;
  options.write_low_bytes = 8'000;
  const auto conn = *adopt_connection(world.system(), ends.near.release(), owner, options);
  std::vector<caf::actor> writers;
  for (std::uint16_t who = 1; who <= actors_count; ++who)
    writers.push_back(who <= 2
                          ? spawn_on<chunk_writer>(world.loop(who - 1u), book, conn, who, by.any(), std::cref(folder))
                          : world.system().spawn<chunk_writer>(book, conn, who, by.any(), std::cref(folder)));
  std::thread thread{[&conn, by = chance{by.any()}]() mutable {
    for (std::uint16_t number = 1; number <= writes_of_each; ++number) {
      conn.write(chunk({in_thread, number}, by.below(3'000)));
      if (by.one_in(4))
        std::this_thread::yield();
    }
  }};
  std::string got;
  const auto read = [&] { got += ends.far.receive(by.below(65'536) + 1); };
  const auto told = world.await([&] { return book->count() == actors_count * writes_of_each; }, read);
  thread.join();
  conn.close();
  ends.far.finish();
  const auto ended = world.await([&] { return ends.far.ended() && *closed > 0; }, read);
  for (const auto& each : writers)
    world.kill(each);
  world.kill(owner);
  const auto gone = world.await([&] { return world.live_actors() == 0; }, [] {}); // they use the folder
  auto wrong = wrong_with_chunks(got, book->all(), in_thread);
  if (!told)
    wrong += " " + std::to_string(book->count()) + " outcomes of " + std::to_string(actors_count * writes_of_each);
  if (book->twice() > 0)
    wrong += " some twice";
  if (!ended || !gone || *closed != 1)
    wrong += " closed " + std::to_string(*closed) + " times";
  return wrong;
}

} // namespace

TEST_CASE("what writers everywhere write comes once, whole and in order, or they are told", "[fuzz]") {
  captured_log quiet;
  fuzz_world world{2};
  for_each_seed(40, [&](unsigned seed) { return wrong_with_writes(world, seed); });
}
