// The entry point of every test program; with Catch2 v2 also the one place where the library itself is compiled.
//
// `--source actors/coroutine/gtcp` selects the test cases of that file below tests/, which Catch2's own way, the base
// name as a tag, cannot tell from those of `actors/blocking/gtcp`. A file without any is an error.
#define CATCH_CONFIG_RUNNER
#include "support/catch.hpp"

#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// A name as Catch2's language for selecting tests takes it literally.
std::string as_literal(std::string_view name) {
  std::string text = "\"";
  for (const auto c : name) {
    if (c == '"' || c == '\\' || c == ',' || c == '[' || c == ']')
      text += '\\';
    text += c;
  }
  return text + "\"";
}

/// Those of `source` among all that are not hidden.
std::vector<std::string> tests_of(const std::string& source, Catch::Session& session) {
  std::vector<std::string> names;
  const auto end = "/tests/" + source + ".cpp";
  for (const auto& test : Catch::getAllTestCasesSorted(session.config())) {
    const auto& about = test.getTestCaseInfo();
    if (!about.isHidden() && std::string_view{about.lineInfo.file}.ends_with(end))
      names.push_back(as_literal(about.name));
  }
  return names;
}

} // namespace

int main(int argc, char** argv) {
  Catch::Session session;
  std::string source;
#if __has_include(<catch2/catch_all.hpp>)
  using Catch::Clara::Opt;
#else
  using Catch::clara::Opt;
#endif
  session.cli(session.cli() | Opt(source, "path")["--source"]("only the tests of this file"));
  if (const auto code = session.applyCommandLine(argc, argv); code != 0)
    return code;
  if (!source.empty()) {
    if (!session.configData().testsOrTags.empty()) {
      std::cerr << "--source takes all tests of a file, and no others beside it\n";
      return 1;
    }
    const auto names = tests_of(source, session);
    if (names.empty()) {
      std::cerr << "no tests in " << source << ".cpp\n";
      return 1;
    }
    auto changed = session.configData();
    auto& all = changed.testsOrTags.emplace_back();
    for (const auto& name : names)
      all += (all.empty() ? "" : ",") + name;
    session.useConfigData(changed);
  }
  return session.run();
}
