// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <string>

namespace dunlin {

/// 64 hexadecimal digits: what people copy, since no shell gives them a meaning.
std::string to_hex(const PublicKey& key);
/// 40 characters, ZeroMQ's own form.
std::string to_z85(const PublicKey& key);
/// Either form. Errors: bad_key (first: characters).
Result<PublicKey> parse_public_key(std::string_view text);

/// A CURVE25519 key pair. The secret half is wiped when it is dropped, and only links ever look at it.
class KeyPair {
public:
    /// None: all zero.
    KeyPair() = default;
    /// A new one, from the system's entropy. Errors: link_failed.
    static Result<KeyPair> make();
    /// Reads a key file. Errors: file_missing, file_syntax, bad_key (the halves do not belong together),
    /// key_exposed (first: the mode) where anybody but the owner may read or write it.
    static Result<KeyPair> load(const std::string& path);
    /// Writes a key file that only the owner can read, whole or not at all. Errors: file_unwritable, also where
    /// there is one already: a node's key is its place on the roster.
    Result<void> save(const std::string& path) const;

    const PublicKey& public_key() const { return public_key_; }
    const std::array<std::byte, 32>& secret_key() const { return secret_key_; }

    KeyPair(const KeyPair&) = default;
    KeyPair& operator=(const KeyPair&) = default;
    ~KeyPair();

private:
    PublicKey public_key_{};
    std::array<std::byte, 32> secret_key_{};
};

}  // namespace dunlin
