// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/keys.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

namespace dunlin {
namespace {

constexpr std::string_view header = "dunlin key 1\n";
constexpr std::size_t file_bytes = header.size() + 2 * 65;  // two lines of 64 digits

using Key = std::array<std::byte, 32>;

std::uint8_t* raw(Key& key) {
    return reinterpret_cast<std::uint8_t*>(key.data());
}

std::string z85(const Key& key) {
    char text[41];
    zmq_z85_encode(text, reinterpret_cast<const std::uint8_t*>(key.data()), key.size());
    return text;
}

int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool from_hex(std::string_view text, Key& key) {
    if (text.size() != 2 * key.size()) return false;
    for (std::size_t k = 0; k < key.size(); ++k) {
        const int high = digit(text[2 * k]), low = digit(text[2 * k + 1]);
        if (high < 0 || low < 0) return false;
        key[k] = static_cast<std::byte>(high << 4 | low);
    }
    return true;
}

/// A file descriptor, closed at the end.
struct File {
    int descriptor;
    ~File() {
        if (descriptor >= 0) close(descriptor);
    }
};

Result<void> unwritable() {
    return fail(Code::file_unwritable, errno);
}

bool write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(descriptor, text.data(), text.size());
        if (written < 0 && errno != EINTR) return false;
        if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

}  // namespace

std::string to_hex(const PublicKey& key) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : key) {
        text += digits[static_cast<unsigned>(byte) >> 4];
        text += digits[static_cast<unsigned>(byte) & 15];
    }
    return text;
}

std::string to_z85(const PublicKey& key) {
    return z85(key);
}

Result<PublicKey> parse_public_key(std::string_view text) {
    PublicKey key{};
    if (from_hex(text, key)) return key;
    const bool decoded = text.size() == 40 && zmq_z85_decode(raw(key), std::string(text).c_str()) != nullptr;
    // Z85 stands for more than 32 bits in places, and is decoded to something all the same.
    if (!decoded || z85(key) != text) return fail(Code::bad_key, static_cast<std::int64_t>(text.size()));
    return key;
}

Result<KeyPair> KeyPair::make() {
    char public_text[41], secret_text[41];
    if (zmq_curve_keypair(public_text, secret_text) != 0) return fail(Code::link_failed, errno);
    KeyPair pair;
    zmq_z85_decode(raw(pair.public_key_), public_text);
    zmq_z85_decode(raw(pair.secret_key_), secret_text);
    explicit_bzero(secret_text, sizeof secret_text);
    return pair;
}

Result<KeyPair> KeyPair::load(const std::string& path) {
    const File file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat status {};
    if (file.descriptor < 0 || fstat(file.descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        return fail(Code::file_missing);
    if ((status.st_mode & 077) != 0) return fail(Code::key_exposed, status.st_mode & 0777);
    char text[file_bytes + 1];
    std::size_t size = 0;
    while (size < sizeof text) {
        const ssize_t got = read(file.descriptor, text + size, sizeof text - size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
    }
    KeyPair pair;
    const std::string_view all(text, size);
    const bool read_well = size == file_bytes && all.starts_with(header) && all[header.size() + 64] == '\n' &&
                           all.back() == '\n' && from_hex(all.substr(header.size(), 64), pair.public_key_) &&
                           from_hex(all.substr(header.size() + 65, 64), pair.secret_key_);
    explicit_bzero(text, sizeof text);
    if (!read_well) return fail(Code::file_syntax, 1, 1);
    std::string secret = z85(pair.secret_key_);
    char derived[41];
    const bool belongs = zmq_curve_public(derived, secret.c_str()) == 0 && z85(pair.public_key_) == derived;
    explicit_bzero(secret.data(), secret.size());
    if (!belongs) return fail(Code::bad_key, 64);
    return pair;
}

Result<void> KeyPair::save(const std::string& path) const {
    const std::string part = path + ".part";
    unlink(part.c_str());  // of a process that was killed here
    std::string text = std::string(header) + to_hex(public_key_) + '\n' + to_hex(secret_key_) + '\n';
    bool written = false;
    {
        const File file{open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
        written = file.descriptor >= 0 && write_all(file.descriptor, text) && fsync(file.descriptor) == 0;
        // A key that root makes for a service is for the service's user, whose directory this is.
        struct stat folder {};
        if (written && geteuid() == 0 && stat(folder_of(path).c_str(), &folder) == 0 && folder.st_uid != 0)
            written = fchown(file.descriptor, folder.st_uid, folder.st_gid) == 0;
    }
    explicit_bzero(text.data(), text.size());
    const bool placed = written && renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0;
    const Result<void> result = placed ? Result<void>() : unwritable();
    if (!placed) unlink(part.c_str());
    const File folder{open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (result && (folder.descriptor < 0 || fsync(folder.descriptor) != 0)) return unwritable();
    return result;
}

KeyPair::~KeyPair() {
    explicit_bzero(secret_key_.data(), secret_key_.size());
}

}  // namespace dunlin
