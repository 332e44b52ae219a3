// Node's ws against the server on a port: messages, compression offered, closing, violations, limits.
"use strict";
const assert = require("assert");
const WebSocket = require("ws");
const { version } = require("ws/package.json");
const base = `ws://127.0.0.1:${process.argv[2]}`;

function open(path, options) {
    return new Promise((resolve, reject) => {
        const socket = new WebSocket(base + path, options);
        socket.queue = [];
        socket.on("message", (data, isBinary) => {
            socket.queue.push(isBinary ? data : data.toString());
            socket.emit("queued");
        });
        socket.ended = new Promise((done) => socket.on("close", (code, reason) => done([code, reason.toString()])));
        socket.on("open", () => resolve(socket));
        socket.on("error", reject);
    });
}

async function next(socket) {
    while (!socket.queue.length) await new Promise((done) => socket.once("queued", done));
    return socket.queue.shift();
}

async function main() {
    let socket = await open("/echo", { perMessageDeflate: true, maxPayload: 0 });
    assert.strictEqual(socket.extensions, "");
    for (const count of [0, 1, 125, 126, 65535, 65536, 1 << 20, 5 << 20]) {
        socket.send(Buffer.alloc(count, 0xfe));
        assert((await next(socket)).equals(Buffer.alloc(count, 0xfe)));
        socket.send("ü".repeat(count));
        assert.strictEqual(await next(socket), "ü".repeat(count));
    }
    socket.send("frag", { fin: false });
    socket.ping("between");
    socket.send("ments", { fin: true });
    assert.strictEqual(await next(socket), "fragments");
    const pong = new Promise((done) => socket.once("pong", (data) => done(data.toString())));
    socket.ping("x".repeat(125));
    assert.strictEqual(await pong, "x".repeat(125));
    socket.close(3999, "ends");
    assert.deepStrictEqual(await socket.ended, [3999, ""]);

    socket = await open("/close");
    assert.deepStrictEqual(await socket.ended, [4321, "grüße"]);

    socket = await open("/small");
    socket.send(Buffer.alloc((1 << 20) + 1));
    assert.strictEqual((await socket.ended)[0], 1009);

    // Frames that ws does not send by itself.
    for (const [frame, code] of [
        [[0x81, 0x01, 0x61], 1002], [[0xc1, 0x81, 0, 0, 0, 0, 0x61], 1002], [[0x83, 0x80, 0, 0, 0, 0], 1002],
        [[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007], [[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], 1002],
    ]) {
        socket = await open("/echo");
        socket._socket.write(Buffer.from(frame));
        assert.strictEqual((await socket.ended)[0], code);
    }

    await assert.rejects(open("/echo", { origin: "https://evil.example" }), /403/);
    await assert.rejects(open("/echo", { protocolVersion: 8 }), /426/);
    console.log(`ws ${version}: messages, fragments, pings, closing, limits, violations, refusals`);
    process.exit(0);
}

setTimeout(() => { console.error("ws: not done within 120 s"); process.exit(1); }, 120_000);
main().catch((error) => { console.error(error); process.exit(1); });
