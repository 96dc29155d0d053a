variable "name" {
  description = "Name of the cluster and prefix of what belongs to it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.name))
    error_message = "Lower-case letters, digits and hyphens, 40 at most, beginning with a letter."
  }
}

variable "region" {
  description = "Region as the provider writes it."
  type        = string
}

variable "nodes" {
  description = "Machines of the cluster: at least and at most."
  type = object({
    least = number
    most  = number
  })

  validation {
    condition     = var.nodes.least >= 1 && var.nodes.most >= var.nodes.least
    error_message = "At least one node, and no fewer at most than at least."
  }
}

variable "services" {
  description = "What runs on the cluster, by name."
  type = map(object({
    image    = string
    port     = number
    replicas = number
  }))
}

variable "databases" {
  description = "Databases: postgresql, mysql, mongodb or redis."
  type        = set(string)
}

variable "queues" {
  description = "Queues: rabbitmq or nats."
  type        = set(string)
}

variable "monitoring" {
  description = "Whether Prometheus and Grafana belong to it."
  type        = bool
}
