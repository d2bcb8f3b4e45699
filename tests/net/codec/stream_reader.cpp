#include "support/catch.hpp"

#include "actnet/net/codec/stream_reader.hpp"

#include <string>
#include <string_view>

using namespace actnet;
using net::bytes;
using net::errc;
using net::stream_reader;

namespace {

std::string said(const stream_reader::answer& got) {
  if (!got)
    return got.error().message();
  return *got ? "'" + std::string{(*got)->view()} + "'" : "more";
}

std::string error(errc code) {
  return make_error_code(code).message();
}

} // namespace

TEST_CASE("a stream reader answers when it has enough") {
  stream_reader r;
  CHECK(said(r.read_line(10)) == "more");
  CHECK(r.feed(bytes::copy("one\ntw")));
  CHECK(said(r.read_line(10)) == "'one\n'");
  CHECK(said(r.read_line(10)) == "more");
  CHECK(said(r.read_exact(3)) == "more");
  CHECK(r.feed(bytes::copy("o\nrest")));
  CHECK(said(r.read_exact(2)) == "'tw'");
  CHECK(said(r.read_line(10)) == "'o\n'");
  CHECK(said(r.read_to_eof(10)) == "more");
  CHECK(said(r.read_line(4)) == error(errc::too_long));
  CHECK(r.feed_eof());
  CHECK_FALSE(r.at_eof());
  CHECK(said(r.read_line(10)) == error(errc::end_of_stream));
  CHECK(said(r.read_exact(5)) == error(errc::end_of_stream));
  CHECK(said(r.read_to_eof(3)) == error(errc::too_long));
  CHECK(said(r.read_to_eof(4)) == "'rest'");
  CHECK(r.at_eof());
  CHECK(r.feed_eof().error() == errc::end_of_stream);
  CHECK(r.feed(bytes::copy("x")).error() == errc::end_of_stream);
  CHECK(said(r.read_to_eof(4)) == "''");
}

TEST_CASE("a line may have its maximum, line feed and all") {
  stream_reader r;
  CHECK(r.feed(bytes::copy("abc\nabcd\n")));
  CHECK(said(r.read_line(4)) == "'abc\n'");
  CHECK(said(r.read_line(4)) == error(errc::too_long));
  CHECK(r.discard() == 5);
  CHECK(said(r.read_line(4)) == "more");
}
