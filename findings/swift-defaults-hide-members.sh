#!/usr/bin/env bash
# A Swift protocol's default, and a class whose member has the requirement's name and another type.
#
# Guess:   a class that declares `start` or `dependencies` where a protocol asks for them either satisfies the protocol or
#          does not compile, and a subclass's `start` is called for its superclass's conformance.
# True:    where the requirement has a default, the class compiles without a warning and the default is used: for an
#          `async` member in place of a plain one, for `[B]` in place of `[any P]`, for `String` in place of `String?`. A
#          conformance names the default for good, so that a subclass's member of the very type is not called either.
#          An associated type that the compiler takes from the class's own member tells the difference.
# Version: Swift 6.3.1, Linux. Date: 2026-11-30.
# Matters: frameworks whose protocols have defaults for everything (services, handlers, delegates): a part of a program
#          that is never started looks like one that has nothing to do.
source "$(dirname "$0")/support.bash"
need swiftc
echo "$(swiftc --version 2>/dev/null | head -1), Linux $(uname -r)"
cat >main.swift <<'SWIFT'
protocol Service: AnyObject {
    var needs: [any Service] { get }
    var name: String? { get }
    func start() -> String
}
extension Service {
    var needs: [any Service] { [] }
    var name: String? { nil }
    func start() -> String { "default" }
}

final class Part: Service {}
final class Near: Service {
    var needs: [Part] { [Part()] }
    let name = "near"
    func start() async -> String { "own" }
}
let near: any Service = Near()
print("needs \(near.needs.count), name \(near.name ?? "none"), start \(near.start())")

class Base: Service {}
final class Derived: Base { func start() -> String { "own" } }
let derived: any Service = Derived()
print("derived \(derived.start())")

protocol Checked: AnyObject {
    associatedtype Started
    func start() async -> Started
    func plain() -> Bool
}
extension Checked { func plain() -> Bool { false } }
extension Checked where Started == String { func plain() -> Bool { true } }
final class Right: Checked { func start() async -> String { "own" } }
final class Wrong: Checked { func start() async -> Int { 1 } }
print("told \(Right().plain()) \(Wrong().plain())")
SWIFT
swiftc -swift-version 6 main.swift -o program 2>compiler.log || unable "swiftc: $(head -1 compiler.log)"
expect "warnings" 0 "$(grep -c warning: compiler.log || true)"
./program >out
expect "near misses" "needs 0, name none, start default" "$(sed -n 1p out)"
expect "a subclass's own start" "derived default" "$(sed -n 2p out)"
expect "by an associated type" "told true false" "$(sed -n 3p out)"
finish
