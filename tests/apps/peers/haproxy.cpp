// haproxy in front of echo_server, as people put it in front of what they write.
// needs: haproxy
#include "apps/programs.hpp"

#include <string>
#include <thread>

namespace actnet::test {

TEST_CASE("a megabyte and a half-close pass haproxy to echo_server and come back", "[apps]") {
  scratch_folder folder;
  process server({.argv = {app("echo_server"), "127.0.0.1:0"}, .input = ""});
  const auto door = folder / "door"; // it cannot choose a port by itself
  const auto configuration =
      folder.file("haproxy.cfg", "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 10s\n"
                                 "  timeout client 60s\n  timeout server 60s\nlisten echo\n  bind unix@" +
                                     door + "\n  server one " + at_port(port_of(server)) + "\n");
  process between({.argv = {"haproxy", "-db", "-f", configuration}, .input = ""});
  REQUIRE(eventually([&] { return std::filesystem::exists(door); }));
  process front({.argv = {app("proxy"), "127.0.0.1:0", "unix:" + door}, .input = ""});

  constexpr std::size_t size = 1'000'000;
  peer client(port_of(front));
  const auto sent = position_stream{1}.bytes(size);
  std::thread sender{[&] {
    client.send_all(sent);
    client.finish();
  }};
  const auto back = client.read_to_end();
  sender.join();
  CHECK(back.size() == size);
  position_checker checker{1};
  CHECK(checker.feed(back));
}

} // namespace actnet::test
