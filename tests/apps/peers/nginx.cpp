// nginx behind proxy, asked by curl.
// needs: nginx curl
#include "apps/programs.hpp"

#include <string>

namespace actnet::test {
namespace {

std::string coded_text(std::size_t size) {
  const auto bytes = position_stream{1}.bytes(size);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// nginx with the files of `folder`, on a Unix socket there: it cannot choose a port by itself.
struct nginx {
  explicit nginx(const scratch_folder& folder)
      : door(folder / "door"),
        program({.argv = {"nginx", "-p", folder / "", "-e", "stderr", "-c", configuration(folder)}, .input = ""}) {
    REQUIRE(eventually([&] { return std::filesystem::exists(door); }));
  }

  std::string configuration(const scratch_folder& folder) const {
    std::string temporary;
    for (const std::string kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      temporary += "  " + kind + "_temp_path " + (folder / kind) + ";\n";
    const std::string user = ::geteuid() == 0 ? "user root;\n" : "";
    return folder.file("nginx.conf", user + "daemon off;\npid " + (folder / "pid") +
                                         ";\nworker_processes 1;\nevents {}\nhttp {\n  access_log off;\n" + temporary +
                                         "  server {\n    listen unix:" + door + ";\n    root " + (folder / "") +
                                         ";\n  }\n}\n");
  }

  std::string door;
  process program;
};

} // namespace

TEST_CASE("curl gets files from nginx through proxy, whole, in part, and many over one connection", "[apps]") {
  scratch_folder folder;
  const auto large = coded_text(3'000'000);
  folder.file("large", large);
  folder.file("small", "small\n");
  nginx server{folder};
  process door({.argv = {app("proxy"), "127.0.0.1:0", "unix:" + server.door}, .input = ""});
  const auto site = "http://" + at_port(port_of(door)) + "/";

  process whole({.argv = {"curl", "-sS", site + "large"}, .input = ""});
  CHECK(whole.wait() == exit_status{0, 0});
  CHECK((whole.output() == large)); // not printed if it differs

  process part({.argv = {"curl", "-sS", "-r", "1000000-1000099", site + "large"}, .input = ""});
  CHECK(part.wait() == exit_status{0, 0});
  CHECK(part.output() == large.substr(1'000'000, 100));

  process many({.argv = {"curl", "-sS", "-w", "%{num_connects}\n", site + "small?[1-50]"}, .input = ""});
  CHECK(many.wait() == exit_status{0, 0});
  std::string expected;
  for (int i = 0; i < 50; ++i)
    expected += i == 0 ? "small\n1\n" : "small\n0\n";
  CHECK(many.output() == expected);
}

} // namespace actnet::test
