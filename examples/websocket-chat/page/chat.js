const messages = document.getElementById("messages")
const status = document.getElementById("status")
const form = document.getElementById("form")
const username = document.getElementById("username")
const message = document.getElementById("message")

const maximumShown = 500
const reconnectAfterMs = 1000

let socket
/** What was sent and not answered yet. Sent again, it keeps its id, so that it cannot be there twice. */
let pending

/** Only as text, never as HTML: what people say stays what they say. */
const show = (said) => {
  if (document.getElementById(said.message_id) !== null) return
  const name = document.createElement("b")
  name.textContent = said.username
  const line = document.createElement("li")
  line.id = said.message_id
  line.append(name, `: ${said.message}`)
  messages.append(line)
  while (messages.childElementCount > maximumShown) messages.firstElementChild.remove()
  line.scrollIntoView()
}

const settle = (said) => {
  show(said)
  if (said.message_id !== pending?.message_id) return
  pending = undefined
  message.value = ""
  status.textContent = ""
}

const explain = ({ error }) => {
  status.textContent =
    error._tag === "RateLimited"
      ? `Not so fast: try again in ${Math.ceil(error.retry_after_ms / 1000)} s.`
      : error.message
}

const connect = () => {
  socket = new WebSocket(new URL("chat", location.href))
  socket.addEventListener("message", ({ data }) => {
    const frame = JSON.parse(data)
    if (frame.type === "recent") {
      status.textContent = ""
      frame.messages.forEach(settle)
    } else if (frame.type === "message") settle(frame.message)
    else explain(frame)
  })
  socket.addEventListener("close", ({ reason }) => {
    status.textContent = `${reason || "The connection is lost."} Connecting again …`
    setTimeout(connect, reconnectAfterMs)
  })
}

form.addEventListener("submit", (event) => {
  event.preventDefault()
  if (socket.readyState !== WebSocket.OPEN) return
  if (pending?.message !== message.value || pending.username !== username.value) {
    pending = { username: username.value, message: message.value, message_id: crypto.randomUUID() }
  }
  socket.send(JSON.stringify(pending))
})

connect()
