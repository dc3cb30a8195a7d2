// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/metrics.hpp"

#include <string>

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace dunlin;
using Catch::Matchers::Contains;

TEST_CASE("metrics are served on loopback to who asks for them properly") {
    CHECK(MetricsEndpoint::open("0.0.0.0:0", false).error().code == Code::not_loopback);
    CHECK(MetricsEndpoint::open("nonsense", false).error().code == Code::bad_endpoint);
    auto endpoint = MetricsEndpoint::open("127.0.0.1:0", false);
    REQUIRE(endpoint);
    endpoint->publish("dunlin_nodes 3\n");
    const auto ask = [&](const std::string& request) {
        const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(
            static_cast<std::uint16_t>(std::stoi(endpoint->address().substr(endpoint->address().find(':') + 1))));
        REQUIRE(::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        (void)::send(connection, request.data(), request.size(), MSG_NOSIGNAL);
        std::string answer;
        char block[4096];
        for (ssize_t got; (got = ::recv(connection, block, sizeof block, 0)) > 0;)
            answer.append(block, static_cast<std::size_t>(got));
        ::close(connection);
        return answer;
    };
    CHECK_THAT(ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), Contains("200") && Contains("dunlin_nodes 3"));
    for (const char* target : {"/metrics?node=1", "/metrics#x", "http://127.0.0.1:9464/metrics",
                               "HTTP://x/metrics?a", "https://[::1]:1/metrics"}) {
        INFO(target);
        const std::string answer = ask(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", target));
        CHECK_THAT(answer, Contains("HTTP/1.1 200"));
    }
    CHECK_THAT(ask("HEAD /metrics HTTP/1.0\r\n\r\n"), Contains("200") && !Contains("dunlin_nodes"));
    for (const char* target : {"/", "/metrics/", "/metricsx", "http://127.0.0.1:9464", "http://x/?/metrics"}) {
        INFO(target);
        CHECK_THAT(ask(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", target)),
                   Contains("404") && Contains("/metrics"));
    }
    for (const char* body : {"Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\na=1",
                             "Content-Length: 99999999999\r\n\r\na", "Transfer-Encoding: chunked\r\n\r\n1\r\na"}) {
        INFO(body);
        CHECK_THAT(ask(fmt::format("POST /metrics HTTP/1.1\r\nHost: x\r\n{}", body)),
                   Contains("405") && Contains("Allow: GET, HEAD"));
    }
    for (const std::size_t bytes : {9'000u, 100'000u}) {
        std::string large = "GET /metrics HTTP/1.1\r\nX: ";
        large.resize(bytes, 'x');
        CHECK_THAT(ask(large + "\r\n\r\n"), Contains("431"));
    }
    for (const std::string& nonsense :
         {std::string(1000, '\0'), std::string("GET\r\n\r\n"), std::string("GET /metrics SMTP/1.1\r\n\r\n"),
          std::string("GET /metrics HTTP/1.1\r\nno colon\r\n\r\n")}) {
        INFO(nonsense);
        CHECK_THAT(ask(nonsense), Contains("HTTP/1.1 400") || Contains("HTTP/1.1 505"));
    }
}
