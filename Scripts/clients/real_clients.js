// Node's clients: real_clients.js fetch|http PORT DATA. Each line of standard input is an order, each line of standard
// output what became of it.
const crypto = require('crypto')
const fs = require('fs')
const http = require('http')
const readline = require('readline')

const [kind, port, data] = process.argv.slice(2)
const base = `http://127.0.0.1:${port}`
const agent = new http.Agent({ keepAlive: true })

const result = (status, fields, body, trailers = {}) => ({
  status, fields, size: body.length, digest: crypto.createHash('sha256').update(body).digest('hex'),
  text: body.subarray(0, 200).toString('latin1'), trailers
})

const bodyOf = (size) => fs.readFileSync(data).subarray(0, size)

async function * piecesOf (size) {
  const body = bodyOf(size)
  for (let place = 0; place < size; place += 10000) yield body.subarray(place, Math.min(size, place + 10000))
}

const byFetch = async ({ method, path, fields, size, chunked }) => {
  const options = { method, headers: fields, redirect: 'manual', signal: AbortSignal.timeout(30000) }
  if (size !== null) Object.assign(options, { body: chunked ? ReadableStream.from(piecesOf(size)) : bodyOf(size), duplex: 'half' })
  const response = await fetch(base + path, options)
  return result(response.status, Object.fromEntries(response.headers), Buffer.from(await response.arrayBuffer()))
}

const byHTTP = ({ method, path, fields, size, chunked }) => new Promise((resolve, reject) => {
  const headers = { ...fields, ...(size === null ? {} : chunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': size }) }
  const request = http.request(base + path, { method, headers, agent, timeout: 30000 }, (response) => {
    const parts = []
    response.on('data', (part) => parts.push(part))
    response.on('error', reject)
    response.on('end', () => resolve(result(response.statusCode, response.headers, Buffer.concat(parts), response.trailers)))
  })
  request.on('error', reject)
  request.on('timeout', () => request.destroy(new Error('timeout')))
  const send = async () => {
    if (size !== null) for await (const piece of piecesOf(size)) if (!request.write(piece)) await new Promise((go) => request.once('drain', go))
    request.end()
  }
  // With Expect the body waits for 100 Continue.
  if ('Expect' in headers) { request.on('continue', send); request.flushHeaders() } else send()
})

const ask = kind === 'fetch' ? byFetch : byHTTP
const plain = (path) => ask({ method: 'GET', path, fields: {}, size: null, chunked: false })

const breakOff = async (path) => {
  const controller = new AbortController()
  if (kind === 'fetch') {
    const response = await fetch(base + path, { signal: controller.signal })
    let count = 0
    for await (const piece of response.body) if ((count += piece.length) > 100000) break
    controller.abort()
    return
  }
  await new Promise((resolve, reject) => {
    let count = 0
    const request = http.get(base + path, { agent }, (response) => {
      response.on('data', (part) => { if ((count += part.length) > 100000) { request.destroy(); resolve() } })
      response.on('error', () => {})
    })
    request.on('error', () => {})
  })
}

const obey = async (order) => {
  if (order.breaksOff) { await breakOff(order.path); return {} }
  if (order.parallel) return { statuses: (await Promise.all(Array.from({ length: order.parallel }, () => plain(order.path)))).map((one) => one.status) }
  return ask(order)
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer
    try { answer = await obey(JSON.parse(line)) } catch (error) {
      answer = { error: `${error.message}${error.cause ? `: ${error.cause.code ?? error.cause.message}` : ''}` }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit(0)
})()
