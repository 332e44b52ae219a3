// The page. Its parts show what they get, and what of that is wrong.

let page = """
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>page-server</title>
    <link rel="icon" href="data:,">
    <style>
      body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
      section { border: 1px solid #ccc; border-radius: .5rem; padding: 0 1rem 1rem; margin: 1rem 0 }
      h2 { font-size: 1.1rem; margin: .6rem 0 }
      p { margin: .4rem 0 }
      progress { width: 100% }
      ol { list-style: none; padding: 0; margin: 0; height: 9rem; overflow: auto }
      output { font-family: ui-monospace, monospace }
    </style>
    <h1>page-server</h1>
    <section>
      <h2>Fetch</h2>
      <p><button id="ask">Which worker?</button> <output id="worker"></output>
      <p><button id="count">Count to ten</button> <output id="counted"></output>
    </section>
    <section>
      <h2>Upload</h2>
      <p><input id="file" type="file">
      <p><progress id="progress" value="0"></progress>
      <p><output id="uploaded"></output>
    </section>
    <section>
      <h2>Chat: <output id="state">connecting</output></h2>
      <ol id="messages"></ol>
      <form id="form"><input id="text" autocomplete="off" placeholder="A message"> <button>Send</button></form>
    </section>
    <script>
    const part = (id) => document.getElementById(id)

    part('ask').onclick = async () => {
      const { worker, generation } = await (await fetch('/worker')).json()
      part('worker').value = `worker ${worker}, generation ${generation}`
    }

    // Each piece is shown as it comes.
    part('count').onclick = async () => {
      part('counted').value = ''
      const pieces = (await fetch('/count')).body.pipeThrough(new TextDecoderStream()).getReader()
      let count = 0
      for (let next; !(next = await pieces.read()).done; count++) part('counted').value += next.value
      part('counted').value += `in ${count} pieces`
    }

    // fetch does not tell how far an upload is, XMLHttpRequest does.
    part('file').onchange = () => {
      const file = part('file').files[0], request = new XMLHttpRequest()
      let steps = 0
      request.open('PUT', '/upload')
      request.upload.onprogress = (event) => { part('progress').value = event.loaded / event.total; steps++ }
      request.onerror = () => { part('uploaded').value = 'failed' }
      request.onload = async () => {
        const { count, hash } = JSON.parse(request.response)
        const isSame = count === file.size && hash === hashOf(new Uint8Array(await file.arrayBuffer()))
        part('uploaded').value = `${count} bytes, hash ${hash}, ${steps} steps: ${isSame ? 'the same' : 'NOT the same'}`
      }
      request.send(file)
    }

    // FNV-1a, as the server computes it.
    const hashOf = (bytes) => {
      let hash = 2166136261
      for (const byte of bytes) hash = Math.imul(hash ^ byte, 16777619)
      return hash >>> 0
    }

    let socket
    const connect = () => {
      socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/chat`)
      socket.onopen = () => { part('state').value = 'connected' }
      socket.onmessage = (event) => {
        const item = document.createElement('li')
        item.textContent = event.data
        part('messages').append(item)
        item.scrollIntoView({ block: 'nearest' })
      }
      // A reload moves it to the next worker, and a stop closes it with 1001. The delay is random: all pages come back, but
      // not at once.
      socket.onclose = (event) => {
        part('state').value = `closed with ${event.code}, connecting again`
        setTimeout(connect, 100 + Math.random() * 900)
      }
    }
    connect()
    part('form').onsubmit = (event) => {
      event.preventDefault()
      if (socket.readyState === WebSocket.OPEN) { socket.send(part('text').value); part('text').value = '' }
    }
    </script>
    </html>

    """
