-- How Argo CD judges a QuayStorage or a StorageIdentity. What is being deleted Argo CD judges by itself.

local status = obj.status or {}

local function condition(kind)
  for _, each in ipairs(status.conditions or {}) do
    if each.type == kind then
      return each
    end
  end
  return {}
end

local function health(word, message)
  return {status = word, message = message or ""}
end

local ready = condition("Ready")
local stalled = condition("Stalled")

if obj.spec ~= nil and obj.spec.suspend == true then
  return health("Suspended", condition("Suspended").message or "spec.suspend is true.")
end
-- What the API server fills in until there is a report.
if status.observedGeneration == nil or status.observedGeneration == -1 then
  return health("Progressing", "The operator has not reported yet: see whether it runs, and in this namespace.")
end
if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "The operator has not reported on the changed spec yet.")
end
if stalled.status == "True" then
  return health("Degraded", stalled.message)
end
-- It may heal by itself, but not soon or not without somebody: AWS refuses, or something is missing.
if ready.status == "False" and condition("Reconciling").reason == "ProgressingWithRetry" then
  return health("Degraded", ready.message)
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
return health("Progressing", ready.message)
