// Clients in Go and in Node against echo_server, as programs of others talk to it.
// needs: go node
#include "apps/programs.hpp"

#include <string>

namespace actnet::test {
namespace {

constexpr auto in_go = R"(package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	conn, err := net.Dial("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	sent := bytes.Repeat([]byte("0123456789"), 100000)
	go func() {
		conn.Write(sent)
		conn.(*net.TCPConn).CloseWrite()
	}()
	back, err := io.ReadAll(conn)
	fmt.Println(bytes.Equal(back, sent), err)
}
)";

constexpr auto in_node = R"(
const sent = Buffer.from('0123456789'.repeat(100000));
const parts = [];
const [host, port] = process.argv[1].split(':');
const conn = require('net').connect({host, port: Number(port), allowHalfOpen: true}, () => conn.end(sent));
conn.on('data', (part) => parts.push(part));
conn.on('end', () => console.log(Buffer.concat(parts).equals(sent)));
)";

} // namespace

TEST_CASE("clients in Go and Node get back what they send, a megabyte and their half-close", "[apps]") {
  scratch_folder folder;
  process server({.argv = {app("echo_server"), "127.0.0.1:0"}, .input = ""});
  const auto address = at_port(port_of(server));

  const auto made = folder / "client";
  process build(
      {.argv = {"go", "build", "-o", made, folder.file("client.go", in_go)},
       .input = "",
       .environment = {
           {"GOCACHE", folder / "cache"}, {"GO111MODULE", "off"}, {"GOTOOLCHAIN", "local"}, {"CGO_ENABLED", "0"}}});
  REQUIRE(build.wait(std::chrono::seconds{100}) == exit_status{0, 0});
  process go({.argv = {made, address}, .input = ""});
  CHECK(go.wait() == exit_status{0, 0});
  CHECK(go.output() == "true <nil>\n");

  process node({.argv = {"node", "-e", in_node, address}, .input = ""});
  CHECK(node.wait() == exit_status{0, 0});
  CHECK(node.output() == "true\n");
}

} // namespace actnet::test
