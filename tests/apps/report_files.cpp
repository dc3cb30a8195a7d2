// SPDX-License-Identifier: Apache-2.0
#include "apps/report/run_files.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::report;
namespace fs = std::filesystem;

namespace {

/// An empty directory of its own, removed at the end.
struct Folder {
    fs::path path;

    Folder() {
        std::string name = (fs::temp_directory_path() / "dunlin-report-XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~Folder() { fs::remove_all(path); }

    std::size_t files() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
    }
};

std::string contents(const fs::path& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
}

const std::vector<std::string> header{"iteration", "return", "note"};

}  // namespace

TEST_CASE("a file is replaced as a whole and no temporary file stays") {
    const Folder folder;
    REQUIRE(write_file(folder.path / "summary.json", "old"));
    std::string bytes(200'000, 'x');
    bytes[3] = '\0';
    REQUIRE(write_file(folder.path / "summary.json", bytes));
    CHECK(contents(folder.path / "summary.json") == bytes);
    CHECK(folder.files() == 1);
}

TEST_CASE("writing where it cannot be done gives errno and leaves nothing") {
    const Folder folder;
    const auto missing = write_file(folder.path / "no" / "file", "x");
    REQUIRE_FALSE(missing);
    CHECK(missing.error() == Error{Code::file_unwritable, ENOENT, 0});

    REQUIRE(write_file(folder.path / "plain", "kept"));
    const auto below_file = write_file(folder.path / "plain" / "file", "x");
    REQUIRE_FALSE(below_file);
    CHECK(below_file.error().first == ENOTDIR);
    CHECK(contents(folder.path / "plain") == "kept");

    fs::create_directory(folder.path / "directory");
    const auto over_directory = write_file(folder.path / "directory", "x");
    REQUIRE_FALSE(over_directory);
    CHECK(over_directory.error().code == Code::file_unwritable);
    CHECK(folder.files() == 2);

    if (::geteuid() != 0) {  // permissions do not bind root
        fs::permissions(folder.path, fs::perms::owner_read | fs::perms::owner_exec);
        CHECK(write_file(folder.path / "new", "x").error().first == EACCES);
        CHECK(write_file(folder.path / "plain", "x").error().first == EACCES);
        fs::permissions(folder.path, fs::perms::owner_all);
        CHECK(contents(folder.path / "plain") == "kept");
        CHECK(folder.files() == 2);
    }
}

TEST_CASE("a run directory is made with its parents, and a file in its way is an error") {
    const Folder folder;
    REQUIRE(prepare_directory(folder.path / "a" / "b"));
    REQUIRE(prepare_directory(folder.path / "a" / "b"));
    CHECK(fs::is_directory(folder.path / "a" / "b"));
    REQUIRE(write_file(folder.path / "file", "x"));
    CHECK_FALSE(prepare_directory(folder.path / "file"));
    CHECK_FALSE(prepare_directory(folder.path / "file" / "below"));
}

TEST_CASE("a CSV file has its header once and its rows at once") {
    const Folder folder;
    const fs::path path = folder.path / "metrics.csv";
    auto file = CsvFile::create(path, header);
    REQUIRE(file);
    REQUIRE(file->append({1, 0.1f, "a,b"}));
    REQUIRE(file->append({std::size_t{2}, 0.1, std::string("plain")}));
    CHECK(contents(path) == "iteration,return,note\n1,0.1,\"a,b\"\n2,0.1,plain\n");
    CHECK(file->append({1, 2}).error() == Error{Code::shape_mismatch, 2, 3});
    CHECK(file->append({3, std::numeric_limits<double>::quiet_NaN(), ""}));
    CHECK(file->flush());
    CHECK(contents(path).ends_with("3,nan,\n"));
}

TEST_CASE("resuming a CSV file cuts off what came after the checkpoint") {
    const Folder folder;
    const fs::path path = folder.path / "metrics.csv";
    {
        auto file = CsvFile::create(path, header);
        REQUIRE(file);
        for (int k = 0; k < 5; ++k) REQUIRE(file->append({k, 0.5 * k, "two\nlines"}));
    }
    std::ofstream(path, std::ios::app) << "5,2.";  // a row that was cut short
    {
        auto file = CsvFile::resume(path, header, 3);
        REQUIRE(file);
        REQUIRE(file->append({3, 7.5, "again"}));
    }
    CHECK(contents(path) ==
          "iteration,return,note\n0,0,\"two\nlines\"\n1,0.5,\"two\nlines\"\n2,1,\"two\nlines\"\n3,7.5,again\n");
}

TEST_CASE("resuming a CSV file that does not fit is an error and changes nothing") {
    const Folder folder;
    const fs::path path = folder.path / "metrics.csv";
    CHECK(CsvFile::resume(path, header, 0).error().code == Code::file_missing);
    REQUIRE(write_file(path, "iteration,return,note\n0,1,a\n1,2"));
    CHECK(CsvFile::resume(path, header, 2).error() == Error{Code::file_truncated, 1, 2});
    CHECK(CsvFile::resume(path, std::vector<std::string>{"iteration", "loss", "note"}, 1).error().code ==
          Code::file_syntax);
    CHECK(contents(path) == "iteration,return,note\n0,1,a\n1,2");
}

TEST_CASE("a CSV file can be handed on") {
    const Folder folder;
    auto first = CsvFile::create(folder.path / "a.csv", header);
    auto second = CsvFile::create(folder.path / "b.csv", header);
    REQUIRE((first && second));
    *second = std::move(*first);
    REQUIRE(second->append({1, 2, 3}));
    CHECK(contents(folder.path / "a.csv").ends_with("1,2,3\n"));
}

TEST_CASE("a NumPy file has exactly the bytes of format 1.0") {
    const std::vector<float> values{1.0f, -2.0f, 0.5f, 0.0f, 3.0f, 4.0f};
    const auto bytes = npy_bytes(values, std::vector<std::size_t>{2, 3});
    REQUIRE(bytes);
    std::string expected("\x93NUMPY\x01\x00\x76\x00", 10);
    expected += "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    expected += std::string(128 - 1 - expected.size(), ' ') + '\n';
    for (const unsigned word : {0x3F800000U, 0xC0000000U, 0x3F000000U, 0U, 0x40400000U, 0x40800000U}) {
        for (int k = 0; k < 4; ++k) expected += static_cast<char>((word >> (8 * k)) & 0xFFU);
    }
    CHECK(*bytes == expected);
}

TEST_CASE("a NumPy file of one dimension, of none, and of the wrong size") {
    const std::vector<std::int32_t> values{-1};
    const auto flat = npy_bytes(values, std::vector<std::size_t>{1});
    REQUIRE(flat);
    CHECK(flat->find("'<i4'") != std::string::npos);
    CHECK(flat->find("'shape': (1,), }") != std::string::npos);
    CHECK(flat->size() % 64 == 4);
    CHECK(flat->ends_with("\xFF\xFF\xFF\xFF"));
    CHECK(npy_bytes(values, std::vector<std::size_t>{})->find("'shape': (), }") != std::string::npos);
    CHECK(npy_bytes(values, std::vector<std::size_t>{2, 3}).error() == Error{Code::shape_mismatch, 1, 6});
}
