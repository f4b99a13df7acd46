/* A page that is opened from disk may not start a worker, so the search runs in a hidden frame instead. In a query a dash
   is a space, as in the index: `--layer` finds the option. */
const plain = (message) => (message.type === 2 ? { ...message, data: message.data.replaceAll("-", " ") } : message);
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.srcdoc =
        "<script>window.postMessage = message => parent.postMessage(message, '*');" +
        "window.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise(done => {" +
        "const script = document.createElement('script'); script.src = url; script.onload = done;" +
        "document.head.append(script); })), Promise.resolve());</" + "script>" +
        "<script src='" + new URL(url, location.href).href + "'></" + "script>";
      this.ready = new Promise((resolve) => frame.addEventListener("load", () => resolve(frame)));
      window.addEventListener("message", (event) => {
        if (event.source !== frame.contentWindow) return;
        event.stopImmediatePropagation();
        this.dispatchEvent(new MessageEvent("message", { data: event.data }));
      });
      if (document.body) document.body.append(frame);
      else document.addEventListener("DOMContentLoaded", () => document.body.append(frame));
    }
    postMessage(data) {
      this.ready.then((frame) => frame.contentWindow.dispatchEvent(new MessageEvent("message", { data: plain(data) })));
    }
    terminate() {}
  };
} else {
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, ...more) {
    post.call(this, plain(message), ...more);
  };
}
