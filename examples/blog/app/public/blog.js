const list = document.querySelector("#posts");
const form = document.querySelector("#new");

async function show() {
  const posts = await (await fetch("/api/posts")).json();
  list.replaceChildren(...posts.map((post) => {
    const item = document.createElement("li");
    const title = document.createElement("h2");
    const body = document.createElement("p");
    title.textContent = post.title;
    body.textContent = post.body;
    item.append(title, body);
    return item;
  }));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const post = Object.fromEntries(new FormData(form));
  await fetch("/api/posts", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(post) });
  form.reset();
});

// Whoever publishes, on whichever worker: everybody sees it at once.
new EventSource("/api/events").addEventListener("post", show);
await show();
