#include "support/baseline.hpp"
#include "support/catch.hpp"
#include "support/peer.hpp"
#include "support/process.hpp"

#include <signal.h>

#include <cstdint>
#include <string>

namespace {

using namespace actnet::test;

TEST_CASE("the README's program answers, also what came just before the peer finished, and stops at SIGTERM") {
  const baseline before;
  process server{{.argv = {ACTNET_README_PROGRAM}}};
  const auto line = server.wait_for_line(process::stream::err, "^listening on 127\\.0\\.0\\.1:([0-9]+)$");
  const auto port = static_cast<std::uint16_t>(std::stoi(line.at(1)));
  peer client{port};
  client.send_all("Hello, ");
  CHECK(client.read_exactly(7) == "Hello, ");
  client.send_all("world!");
  client.finish();
  CHECK(client.read_to_end() == "world!");
  server.send_signal(SIGTERM);
  CHECK(server.wait().code == 0);
}

} // namespace
