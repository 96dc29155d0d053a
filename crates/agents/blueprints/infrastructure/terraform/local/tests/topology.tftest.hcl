run "plans_every_part" {
  command = plan

  assert {
    condition     = length(terraform_data.node) == var.nodes.least
    error_message = "There must be as many nodes as the topology has at least."
  }

  assert {
    condition     = length(terraform_data.service) == length(var.services)
    error_message = "Every service must be planned."
  }

  assert {
    condition     = length(terraform_data.monitoring) == (var.monitoring ? 1 : 0)
    error_message = "Monitoring must be planned when it is wanted, and only then."
  }
}

run "applies_and_names_its_endpoint" {
  command = apply

  assert {
    condition     = output.stand_in_endpoint == "https://${var.name}.stand-in.invalid:6443"
    error_message = "The endpoint must bear the name of the cluster."
  }

  assert {
    condition     = strcontains(output.kubeconfig, terraform_data.credential.id)
    error_message = "The kubeconfig must hold the credential."
  }
}

run "refuses_a_cluster_without_nodes" {
  command = plan

  variables {
    nodes = { least = 0, most = 0 }
  }

  expect_failures = [var.nodes]
}
