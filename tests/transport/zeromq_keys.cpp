// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/keys.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <sys/stat.h>
#include <unistd.h>

using namespace dunlin;
namespace fs = std::filesystem;

namespace {

/// A folder of its own that is gone at the end.
class Folder {
public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "dunlin-keys-XXXXXX").string();
        path_ = mkdtemp(name.data());
    }
    ~Folder() { fs::remove_all(path_); }
    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    std::size_t files() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

private:
    fs::path path_;
};

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_private(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
    chmod(path.c_str(), 0600);
}

}  // namespace

TEST_CASE("a key pair is as it was when it is read back, and nobody else can read it") {
    const Folder folder;
    const KeyPair keys = KeyPair::make().value();
    REQUIRE(keys.save(folder / "node.key"));
    struct stat status {};
    REQUIRE(stat((folder / "node.key").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(folder.files() == 1);
    const KeyPair back = KeyPair::load(folder / "node.key").value();
    CHECK(back.public_key() == keys.public_key());
    CHECK(back.secret_key() == keys.secret_key());
    CHECK(KeyPair::make().value().public_key() != keys.public_key());
}

TEST_CASE("a key that is there is not replaced, and what was left half written does not matter") {
    const Folder folder;
    const KeyPair keys = KeyPair::make().value();
    write_private(folder / "node.key.part", "half");
    REQUIRE(keys.save(folder / "node.key"));
    const std::string before = text_of(folder / "node.key");
    CHECK(KeyPair::make().value().save(folder / "node.key").error() == Error{Code::file_unwritable, EEXIST, 0});
    CHECK(text_of(folder / "node.key") == before);
    CHECK(folder.files() == 1);
    CHECK(keys.save(folder / "nowhere/node.key").error() == Error{Code::file_unwritable, ENOENT, 0});
}

TEST_CASE("key files that are exposed, missing, damaged or mixed up are refused") {
    const Folder folder;
    const std::string path = folder / "node.key";
    REQUIRE(KeyPair::make().value().save(path));
    const std::string text = text_of(path);
    CHECK(KeyPair::load(folder / "none").error().code == Code::file_missing);
    CHECK(KeyPair::load(folder / "").error().code == Code::file_missing);
    chmod(path.c_str(), 0640);
    CHECK(KeyPair::load(path).error() == Error{Code::key_exposed, 0640, 0});
    for (std::size_t size = 0; size < text.size(); ++size) {
        write_private(path, text.substr(0, size));
        CHECK(KeyPair::load(path).error().code == Code::file_syntax);
    }
    write_private(path, text + "x");
    CHECK(KeyPair::load(path).error().code == Code::file_syntax);
    std::string mixed = text;
    mixed[20] = mixed[20] == '0' ? '1' : '0';
    write_private(path, mixed);
    CHECK(KeyPair::load(path).error().code == Code::bad_key);
}

TEST_CASE("a public key is read in both of its forms and in no other") {
    const PublicKey key = KeyPair::make().value().public_key();
    CHECK(parse_public_key(to_hex(key)).value() == key);
    CHECK(parse_public_key(to_z85(key)).value() == key);
    CHECK(to_hex(key).size() == 64);
    CHECK(to_z85(key).size() == 40);
    for (const std::string& bad : {std::string(), to_hex(key).substr(1), to_hex(key) + "0", std::string(64, 'g'),
                                   std::string(40, '#'), std::string(40, ' '), std::string(40, '\xff')})
        CHECK(parse_public_key(bad).error() == Error{Code::bad_key, static_cast<std::int64_t>(bad.size()), 0});
}
