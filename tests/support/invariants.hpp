// Checkers for what must hold whatever happened to connections: liveness (I8), quiet (I9), accounts (I12) and memory
// (I7). `witness` has I2 to I5, `position_stream` I1, `baseline` I6.
#pragma once

#include "support/faulty_system_calls.hpp"
#include "support/memory.hpp"
#include "support/quiet.hpp"
#include "support/sanitizer.hpp"
#include "support/witness.hpp"

namespace actnet::test {

/// I12: the counters of all connections against the book's and the kernel's. When they are at rest, and nothing else
/// has sent or received through `calls`.
inline findings accounts(actor_world& world, const event_book& book, const faulty_system_calls& calls) {
  findings all;
  const auto same = [&all](const std::string& what, std::uint64_t ours, std::uint64_t theirs) {
    if (ours != theirs)
      all.push_back(what + ": " + std::to_string(ours) + " against " + std::to_string(theirs));
  };
  const auto subjects = book.subjects();
  const auto totals = book.so_far();
  std::uint64_t in = 0, out = 0, live = 0;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const auto info = world.info(subjects[i]);
    in += info.bytes_received;
    out += info.bytes_sent;
    live += info.state != connection_state::closed;
    const auto [issued, claimed] = book.written_to(i);
    const auto which = " of connection " + std::to_string(i);
    same("writes" + which + ", counted and issued", info.writes_done + info.writes_failed, issued);
    same("bytes out" + which + ", counted and claimed by writes", info.bytes_sent, claimed);
  }
  same("bytes in, counted and read", in, calls.bytes_in());
  if (totals.bytes_received > in)
    all.push_back("more bytes were delivered than read");
  same("bytes out, counted and sent", out, calls.bytes_out());
  same("connections, opened and closed or live", totals.opened, totals.closed + live);
  if (const auto accepted = calls.opened_count(call::accept4); accepted > 0) {
    same("connections, opened and accepted", totals.opened, accepted);
    same("connections, live and with a descriptor", live, calls.open_descriptors(call::accept4).size());
  }
  return all;
}

/// I8: what keeps the world from serving a new client on `port`, which echoes, and its loops from running what is
/// posted to them. Either is to take less than a second; ten are allowed, since the machine may be busy.
inline findings ailments(actor_world& world, std::uint16_t port) {
  findings all;
  try {
    peer fresh{port};
    fresh.send_all("probe");
    if (fresh.read_exactly(5) != "probe")
      all.emplace_back("a new connection does not echo");
  } catch (const std::runtime_error& failed) {
    all.push_back(std::string{"a new connection: "} + failed.what());
  }
  world.settle(); // each loop's heartbeat: the test ends here without it
  return all;
}

/// I9: what went on within `window` although nobody had anything to do: loops that came back from waiting more than
/// once, and the whole process's time and waits, which mean nothing under a sanitizer. Settles the world first.
inline findings disturbances(actor_world& world, std::chrono::milliseconds window = 500ms) {
  world.settle();
  const auto wake_ups = [&world] {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < loops::of(world.system()).size(); ++i)
      sum += world.loop(i).loop().wake_ups();
    return sum;
  };
  findings all;
  const auto before = wake_ups();
  const auto used = measure_activity(window);
  if (const auto times = wake_ups() - before; times > loops::of(world.system()).size())
    all.push_back("the loops woke up " + std::to_string(times) + " times");
  if (sanitized)
    return all;
  auto cpu = used.cpu; // a busy machine charges some of its own work to others; who spins does so in every window
  for (int again = 0; again < 3 && cpu >= window / 100; ++again)
    cpu = measure_activity(window).cpu;
  if (cpu >= window / 100)
    all.push_back("the process used " + std::to_string(cpu.count()) + " us of CPU time");
  if (used.voluntary_switches > static_cast<std::size_t>(window / 25ms))
    all.push_back("its threads began to wait " + std::to_string(used.voluntary_switches) + " times");
  return all;
}

/// I7: by how many bytes the heap has grown after `cycles` calls of `cycle`, beyond what it was after three more before
/// them. 0 under a sanitizer.
template <class F>
std::int64_t heap_growth(int cycles, F cycle) {
  for (int i = 0; i < 3; ++i)
    cycle();
  const auto before = heap_in_use_bytes();
  for (int i = 0; i < cycles; ++i)
    cycle();
  return sanitized ? 0 : static_cast<std::int64_t>(heap_in_use_bytes()) - static_cast<std::int64_t>(before);
}

} // namespace actnet::test
