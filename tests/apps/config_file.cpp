// Programs with a configuration file: what is wrong in it, what it changes, and what has precedence over it.
#include "apps/programs.hpp"

#include "support/baseline.hpp"

#include <chrono>
#include <set>

using namespace actnet::test;
using namespace std::chrono_literals;
using stream = process::stream;

namespace {

const std::string default_file = ACTNET_SOURCE_DIR "/config/default.toml";

/// A file with this text; gone with the object.
class config {
 public:
  explicit config(const std::string& text) { std::ofstream{path()} << text; }
  std::string path() const { return folder_ / "c.toml"; }
  std::string option() const { return "--config-file=" + path(); }

 private:
  scratch_folder folder_;
};

/// The README's program: it listens on a free port, with no setting of its own.
process echo(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), readme_program("echo"));
  return process({.argv = std::move(arguments), .input = ""});
}

exit_status ended_by_signal(process& program) {
  program.send_signal(SIGTERM);
  return program.wait();
}

/// The threads of the loops, which are named by number: not those of actors that block (`actnet.own`), of the log, and
/// of what waits for signals.
std::multiset<std::string> loop_threads(pid_t id) {
  std::multiset<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(id) + "/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (is_loop_thread(name))
      names.insert(name);
  }
  return names;
}

/// Whether there are so many; a thread names itself only when it runs.
bool has_loops(const process& program, std::size_t count) {
  std::multiset<std::string> expected;
  for (std::size_t i = 0; i < count; ++i)
    expected.insert("actnet." + std::to_string(i));
  return eventually([&] { return loop_threads(program.id()) == expected; });
}

} // namespace

TEST_CASE("mistakes in a configuration file end a program before it opens anything", "[config]") {
  const baseline before;
  const config wrong("[loops]\ncount = 'many'\n\n[listener]\nbacklogg = 5\n");
  const auto says = wrong.path() + ":2: loops.count: found \"many\", expected a whole number from 0 to 1024\n" +
                    wrong.path() + ":5: listener.backlogg: unknown key, the nearest is listener.backlog\n";
  listening_peer taken; // who tried it would say so
  for (const auto& argv : {std::vector<std::string>{app("tcp_server"), wrong.option(), at_port(taken.port())},
                           {app("tcp_server"), at_port(taken.port()), "-k", "--config-file", wrong.path()},
                           {app("tcp_client"), at_port(taken.port()), "--config-file", wrong.path(), "hello"},
                           {app("udp_hello"), wrong.option()},
                           {readme_program("echo"), wrong.option()}}) {
    process program({.argv = argv, .input = ""});
    CAPTURE(argv);
    CHECK(program.wait() == exit_status{78, 0});
    CHECK(program.output().empty());
    CHECK(program.output(stream::err) == says);
  }
}

TEST_CASE("a configuration file that is not there, or no TOML, is one line and exit code 78", "[config]") {
  const baseline before;
  auto absent = echo({"--config-file=/nowhere/c.toml"});
  CHECK(absent.wait() == exit_status{78, 0});
  CHECK(absent.output(stream::err) == "/nowhere/c.toml: cannot be read: no such file or directory\n");
  auto folder = echo({"--config-file", "/"});
  CHECK(folder.wait() == exit_status{78, 0});
  CHECK(folder.output(stream::err) == "/: cannot be read: it is a directory\n");
  const config broken("[loops]\ncount = \n");
  auto no_toml = echo({broken.option()});
  CHECK(no_toml.wait() == exit_status{78, 0});
  CHECK(no_toml.output(stream::err).starts_with(broken.path() + ":2: "));
  CHECK(has_one_line(no_toml.output(stream::err)));
}

TEST_CASE("a wrong --config-file on the command line is exit code 2, and --help tells of it", "[config]") {
  const baseline before;
  const config good("");
  for (const auto& arguments : {std::vector<std::string>{"--config-file"},
                                {"--config-file="},
                                {good.option(), good.option()},
                                {"--config", good.path()}}) {
    auto program = echo(arguments);
    CAPTURE(arguments);
    CHECK(program.wait() == exit_status{2, 0});
    CHECK(has_one_line(program.output(stream::err)));
  }
  for (const auto& name : {app("udp_hello"), app("tcp_server"), app("tcp_client"), app("echo_server"), app("proxy"),
                           readme_program("echo")}) {
    process program({.argv = {name, "--help", "--config-file=/nowhere"}, .input = ""});
    CHECK(program.wait() == exit_status{0, 0});
    CHECK(program.output().find("--config-file FILE") != std::string::npos);
  }
}

TEST_CASE("--config-file stands before and after arguments", "[config]") {
  const baseline before;
  const config two("loops.count = 2");
  const auto anywhere = std::string{"127.0.0.1:0"};
  for (const auto& arguments : {std::vector<std::string>{two.option(), "-k", anywhere},
                                {"-k", "--config-file", two.path(), anywhere},
                                {anywhere, two.option(), "-k"},
                                {anywhere, "-k", "--config-file", two.path()}}) {
    auto argv = arguments;
    argv.insert(argv.begin(), app("tcp_server"));
    process server({.argv = argv, .input = ""});
    CAPTURE(argv);
    port_of(server);
    CHECK(has_loops(server, 2));
    CHECK(ended_by_signal(server) == exit_status{0, 0});
  }
}

TEST_CASE("the file's number of loops replaces the one built in, and the program's own", "[config]") {
  const baseline before;
  const config three("[loops]\ncount = 3");
  auto server = echo({three.option()});
  port_of(server);
  CHECK(has_loops(server, 3));
  CHECK(ended_by_signal(server) == exit_status{0, 0});

  listening_peer there; // tcp_client has one loop of its own accord
  for (const auto& [arguments, loops] : {std::pair{std::vector<std::string>{}, 1}, {std::vector{three.option()}, 3}}) {
    auto argv = arguments;
    argv.insert(argv.begin(), {app("tcp_client"), at_port(there.port())});
    process client({.argv = argv, .input = ""});
    auto met = there.accept();
    CHECK(met.read_to_end() == "Hello, world!");
    CHECK(has_loops(client, static_cast<std::size_t>(loops)));
    met.finish();
    CHECK(client.wait() == exit_status{0, 0});
  }
}

TEST_CASE("the command line has precedence over the file, wherever the file stands", "[config]") {
  const baseline before;
  const config said("loops.count = 3\nlistener.max_connections = 1\nconnection.idle_timeout_server = '1ms'");
  const std::vector<std::vector<std::string>> lines{
      {said.option(), "--loops", "2", "--idle-timeout", "0", "--max-connections=5", "127.0.0.1:0"},
      {"--loops", "2", "127.0.0.1:0", "--idle-timeout", "0", "--max-connections=5", "--config-file", said.path()}};
  for (auto argv : lines) {
    argv.insert(argv.begin(), app("echo_server"));
    process server({.argv = argv, .input = ""});
    CAPTURE(argv);
    const auto port = port_of(server);
    CHECK(has_loops(server, 2));
    peer one(port), other(port);
    for (auto* each : {&one, &other}) {
      each->send_all("x");
      CHECK(each->read_exactly(1) == "x");
    }
    one.finish();
    other.finish();
    CHECK(one.await_end() == ending::finished);
    CHECK(other.await_end() == ending::finished);
    CHECK(ended_by_signal(server) == exit_status{0, 0});
  }
  process proxy({.argv = {app("proxy"), "--loops=1", "127.0.0.1:0", "127.0.0.1:1", said.option()}, .input = ""});
  port_of(proxy);
  CHECK(has_loops(proxy, 1));
  CHECK(ended_by_signal(proxy) == exit_status{0, 0});
}

TEST_CASE("an idle timeout from the file closes who says nothing", "[config]") {
  const baseline before;
  const config short_one("[connection]\nidle_timeout_server = \"500ms\"\n");
  auto server = echo({short_one.option()});
  const auto port = port_of(server);
  const auto began = std::chrono::steady_clock::now();
  peer silent(port);
  CHECK(silent.await_end() == ending::finished);
  const auto took = std::chrono::steady_clock::now() - began;
  CHECK(took > 200ms); // a loop counts from the beginning of its round, which a busy machine may hold up
  CHECK(took < 60s);   // what is built in
  CHECK(ended_by_signal(server) == exit_status{0, 0});
}

TEST_CASE("a program that changes single options leaves the others to the file", "[config]") {
  const baseline before;
  const config one_at_once("listener.max_connections = 1\nconnection.idle_timeout_server = '1ms'");
  running_server server({"-k", one_at_once.option()}); // it has its clients stay as long as they like
  const auto prints = [&](const std::string& text) {
    return eventually([&] { return server.program.output() == text; });
  };
  peer first(server.port);
  first.send_all("1");
  CHECK(prints("1"));
  peer second(server.port);
  second.send_all("2");
  first.send_all("1");
  CHECK(prints("11"));
  first.finish();
  CHECK(prints("112"));
  second.finish();
  CHECK(ended_by_signal(server.program) == exit_status{0, 0});
}

TEST_CASE("the file says how long to drain", "[config]") {
  const baseline before;
  const config at_once("program.drain_deadline = '0s'");
  auto server = echo({at_once.option()});
  peer busy(port_of(server)); // it never finishes
  busy.send_all("x");
  CHECK(busy.read_exactly(1) == "x");
  const auto began = std::chrono::steady_clock::now();
  CHECK(ended_by_signal(server) == exit_status{0, 0});
  CHECK(std::chrono::steady_clock::now() - began < 4s); // 5 s are built in
}

TEST_CASE("ACTNET_LOG has precedence over the file's log level, and that over the one built in", "[config]") {
  const baseline before;
  const config talkative("program.log_level = 'debug'");
  const auto says = [&](const std::string& arguments, const std::string& environment) {
    const auto line = "ulimit -S -n 100; " + environment + " exec \"$0\" " + arguments; // raised, which is worth a line
    process program({.argv = {"sh", "-c", line, app("udp_hello")}, .input = ""});
    CHECK(program.wait() == exit_status{0, 0});
    return program.output(stream::err).find("raised the limit of open files") != std::string::npos;
  };
  CHECK_FALSE(says("", ""));
  CHECK(says(talkative.option(), ""));
  CHECK_FALSE(says(talkative.option(), "ACTNET_LOG=info"));
  CHECK(says("", "ACTNET_LOG=debug"));
}

TEST_CASE("a program started with config/default.toml behaves as without", "[config]") {
  const baseline before;
  const auto with = "--config-file=" + default_file;
  process hello({.argv = {app("udp_hello"), with}, .input = ""});
  CHECK(hello.wait() == exit_status{0, 0});
  CHECK(hello.output() == "Hello, world!\n");
  CHECK(hello.output(stream::err).empty());

  auto plain = echo({});
  auto configured = echo({with});
  const auto ports = {port_of(plain), port_of(configured)};
  CHECK(eventually([&] { return loop_threads(plain.id()) == loop_threads(configured.id()); }));
  for (const auto port : ports) {
    peer client(port);
    client.send_all("Hello");
    client.finish();
    CHECK(client.read_to_end() == "Hello");
  }
  CHECK(ended_by_signal(plain) == exit_status{0, 0});
  CHECK(ended_by_signal(configured) == exit_status{0, 0});

  running_server server({with});
  process client({.argv = {app("tcp_client"), with, at_port(server.port), "How are you?"}, .input = ""});
  CHECK(client.wait() == exit_status{0, 0});
  CHECK(server.program.wait() == exit_status{0, 0});
  CHECK(server.program.output() == "How are you?");
  CHECK(client.output().empty());
  CHECK(client.output(stream::err).empty());
}
