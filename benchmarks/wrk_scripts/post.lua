-- wrk -s post.lua URL -- SIZE: each request posts that many bytes of JSON.
function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = '{"data":"' .. string.rep("x", tonumber(args[1]) - 11) .. '"}'
end
