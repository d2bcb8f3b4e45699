#include "actnet/net/bytes/block_pool.hpp"

#include "support/catch.hpp"

#include <thread>
#include <vector>

namespace actnet::test {
namespace {

using net::block;
using net::block_pool;

struct pool_of_this_thread {
  pool_of_this_thread() { block_pool::set_current(&pool); }
  ~pool_of_this_thread() { block_pool::set_current(nullptr); }
  block_pool pool;
};

} // namespace

TEST_CASE("a block holds what was asked for, in a multiple of 16, close to it") {
  for (const std::size_t size :
       {0, 1, 16, 111, 112, 113, 240, 1'000, 2'048, 2'049, 3'000, 32'768, 65'535, 65'536, 65'537, 1'000'003}) {
    CAPTURE(size);
    auto b = block::make(size);
    CHECK(b->capacity() >= size);
    CHECK(b->capacity() % 16 == 0);
    CHECK(b->capacity() <= 2 * size + 128); // whoever keeps a copy pins little more than it
    CHECK(reinterpret_cast<std::uintptr_t>(b->data()) % 16 == 0);
    CHECK(b->references == 1);
    CHECK(b->account == nullptr);
    b->release();
  }
}

TEST_CASE("a size that no block can have is refused") {
  CHECK_THROWS_AS(block::make(~std::size_t{0}), std::bad_alloc);
  CHECK_THROWS_AS(block::make(std::size_t{1} << 33), std::bad_alloc);
}

TEST_CASE("a pool gives the block it got last, for any size of its class") {
  pool_of_this_thread mine;
  auto first = block::make(100);
  first->release();
  CHECK(mine.pool.kept_bytes() == 112 + sizeof(block));
  auto again = block::make(1);
  CHECK(again == first);
  CHECK(again->references == 1);
  CHECK(again->account == nullptr);
  CHECK(mine.pool.kept_bytes() == 0);
  auto other = block::make(113);
  CHECK(other != first);
  again->release();
  other->release();
  CHECK(mine.pool.kept_bytes() == 112 + 240 + 2 * sizeof(block));

  auto large = block::make(block_pool::read_bytes);
  large->release();
  CHECK(block::make(block_pool::read_bytes) == large);
  large->release();
}

TEST_CASE("what a pool keeps is bounded for each size") {
  pool_of_this_thread mine;
  for (const std::size_t size : {std::size_t{112}, block_pool::read_bytes}) {
    const auto before = mine.pool.kept_bytes();
    std::vector<block*> many;
    for (std::size_t bytes = 0; bytes < 2 * block_pool::kept_bytes_max; bytes += size)
      many.push_back(block::make(size));
    for (auto each : many)
      each->release();
    const auto kept = mine.pool.kept_bytes() - before;
    const auto headers = block_pool::kept_bytes_max / size * sizeof(block);
    CHECK(kept <= block_pool::kept_bytes_max + headers);
    CHECK(kept > block_pool::kept_bytes_max / 2);
  }
}

TEST_CASE("a block of no pooled size is not kept") {
  pool_of_this_thread mine;
  block::make(block_pool::copied_bytes_max + 1)->release();
  block::make(block_pool::read_bytes + 1)->release();
  CHECK(mine.pool.kept_bytes() == 0);
}

TEST_CASE("a block that is freed in another thread goes to that thread's pool, or to the heap") {
  pool_of_this_thread mine;
  auto to_heap = block::make(100);
  auto to_pool = block::make(100);
  std::thread{[&] {
    CHECK(block_pool::current() == nullptr);
    to_heap->release();
    pool_of_this_thread theirs;
    CHECK(block_pool::current() == &theirs.pool);
    to_pool->release();
    CHECK(theirs.pool.kept_bytes() == 112 + sizeof(block));
  }}.join();
  CHECK(mine.pool.kept_bytes() == 0);
}

TEST_CASE("a pool that goes is nobody's pool any more") {
  {
    block_pool brief;
    block_pool::set_current(&brief);
    block::make(1)->release();
  }
  CHECK(block_pool::current() == nullptr);
  block::make(1)->release();
}

} // namespace actnet::test
